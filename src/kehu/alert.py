"""Alerts: what an operator must know before breakfast, by log, e-mail and webhook.

A night tells each cause once on each channel, whatever is run again. A channel that does not answer is
tried again, then noted in the journal; it never fails a night. No personal data: causes are made of
rules, counts, stores and file names, and messages of feeds with personal data stay at home.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit

import duckdb
from pydantic import BaseModel

from kehu import warehouse
from kehu.errors import KehuError
from kehu.feeds import Contract
from kehu.files import write_atomically
from kehu.gate.expect import read_suite
from kehu.journal import note
from kehu.settings import Settings

TRIES = 3
PAUSE_SECONDS = 1.0
SHOWN = 10  # causes of one kind that a message lists
KINDS = {
    "FAILED": ("The night failed", "夜间任务失败"),
    "REFUSED": ("Files were refused", "文件被拒收"),
    "HELD": ("Files are held", "文件待处理"),
    "MISSING": ("Store-days are missing", "门店日数据缺失"),
    "VOLUME": ("Volumes are unusual", "数据量异常"),
    "TARGET": ("The publication was not copied", "发布副本失败"),
    "PAGE": ("Pages could not be made", "页面未能生成"),
}
VOLUME = ("day_volume", "day_volume_older")  # beside the checks whose meta says that they learn


class Cause(BaseModel):
    """One thing to tell. `key` tells it apart from others of its kind in a night."""

    kind: str
    key: str
    text: str


class Message(BaseModel):
    """What goes out on a channel."""

    night: str
    title: str
    lines: list[str]
    causes: list[Cause]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class NotDelivered(Exception):
    """A channel did not take the message; says why, without address or secret."""


def failure(error: BaseException | None, where: str) -> Cause:
    """A step that failed. Only messages written for operators are told: others may quote data."""
    name = type(error).__name__ if error else "unknown"
    told = str(error) if isinstance(error, KehuError) else "see the log of the night"
    key = hashlib.sha256(f"{where}|{name}|{told}".encode()).hexdigest()[:16]
    return Cause(kind="FAILED", key=key, text=f"{where}: {name}: {told[:600]}")


def of_load(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: dict[str, Contract],
    run_id: str,
) -> list[Cause]:
    """Files that this run refused or holds, and volumes that it found unusual."""
    found = []
    rows = connection.execute(
        """select batch_id, feed, path, status, refused_by, message from ops.batch
        where run_id = ? and status in ('REFUSED', 'HELD') order by feed, path""",
        [run_id],
    ).fetchall()
    for batch, feed, path, status, refused_by, message in rows:
        contract = contracts.get(feed)
        private = contract is None or bool(contract.pii_columns)
        why = f"by {refused_by}" if private or not message else str(message)
        text = why if why.startswith(path) else f"{path}: {why}"
        found.append(Cause(kind=status, key=batch, text=f"{text[:400]} (kehu explain {batch})"))
    learnt = {
        e["meta"]["id"]
        for name, path in settings.suite_files().items()
        if "." not in name
        for e in read_suite(path)
        if e["meta"].get("learns") or e["meta"]["id"].rpartition(".")[2] in VOLUME
    }
    unusual = connection.execute(
        """select c.check_id, c.feed, c.batch_id, coalesce(b.path, c.feed), c.observed
        from ops.check_result as c left join ops.batch as b using (batch_id)
        where c.run_id = ? and not c.success order by 2, 4, 1""",
        [run_id],
    ).fetchall()
    found += [
        Cause(kind="VOLUME", key=f"{check}|{batch}", text=f"{path}: {check}: {observed}"[:400])
        for check, _, batch, path, observed in unusual
        if check in learnt
    ]
    return found


def of_marts(settings: Settings, as_of: date) -> list[Cause]:
    """Store-days, and files of other feeds, that are missing by their own rhythm."""
    with warehouse.open_marts(settings.marts) as connection:
        rows = connection.execute(
            """select feed, store_code, missing_days, count_missing from marts.mart_freshness
            where count_missing > 0 and as_of_date = ? order by feed, store_code""",
            [as_of],
        ).fetchall()
    return [
        Cause(
            kind="MISSING",
            key=f"{feed}|{store}|{days}",
            text=f"{feed}, store {store}: {days}" if store != "ALL" else f"{feed}: since {days}",
        )
        for feed, store, days, _ in rows
    ]


def tell(settings: Settings, as_of: date | None, run_id: str, causes: list[Cause]) -> None:
    """Send what was not sent yet for this night, on each channel. Never raises."""
    try:
        _tell(settings, as_of, run_id, causes)
    except Exception as error:  # an alert is no reason to lose a night
        _note(settings, run_id, "alert", "failed", error=f"{type(error).__name__}: {error}"[:500])


def _tell(settings: Settings, as_of: date | None, run_id: str, causes: list[Cause]) -> None:
    if not causes:
        return
    day = as_of.isoformat() if as_of else "unknown"
    channels: dict[str, Callable[[Message], None]] = {
        "log": lambda m: note(settings, run_id, "alert:log", "sent", title=m.title, lines=m.lines)
    }
    if settings.alert_email and settings.smtp_url.get_secret_value():
        channels["email"] = lambda m: _email(settings, m)
    if settings.alert_webhook.get_secret_value():
        channels["webhook"] = lambda m: _webhook(settings, m)
    with _sent(settings, day) as sent:
        for name, send in channels.items():
            known = set(sent.setdefault(name, []))
            fresh = [c for c in causes if f"{c.kind}:{c.key}" not in known]
            if not fresh:
                continue
            try:
                _try(lambda send=send, fresh=fresh: send(compose(day, fresh)))  # type: ignore[misc]
            except (NotDelivered, OSError) as error:
                told = str(error) if isinstance(error, NotDelivered) else type(error).__name__
                _note(settings, run_id, f"alert:{name}", "failed", error=told)
                continue
            sent[name] += [f"{c.kind}:{c.key}" for c in fresh]
            if name != "log":
                _note(settings, run_id, f"alert:{name}", "sent", causes=len(fresh))


def _note(settings: Settings, run_id: str, step: str, state: str, **facts: Any) -> None:
    try:
        note(settings, run_id, step, state, **facts)
    except OSError:
        return  # a full disk is told by the night itself


@contextmanager
def _sent(settings: Settings, day: str) -> Iterator[dict[str, list[str]]]:
    """What each channel has been told of a night; tasks that run side by side wait for each other."""
    folder = settings.home / "alerts"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{day}.json"
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            sent: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
        except ValueError:
            sent = {}
        yield sent
        write_atomically(path, json.dumps(sent, indent=1))


def compose(day: str, causes: list[Cause]) -> Message:
    """One message for all causes, those of a kind together."""
    lines: list[str] = []
    titles = []
    for kind, (english, chinese) in KINDS.items():
        found = [c for c in causes if c.kind == kind]
        if not found:
            continue
        titles.append(f"{english.lower()} ({len(found)})")
        lines.append(f"{english} {chinese}: {len(found)}")
        lines += [f"- {c.text}" for c in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"- … and {len(found) - SHOWN} more: kehu quality --as-of {day}")
    return Message(night=day, title=f"Kehu {day}: {', '.join(titles)}", lines=lines, causes=causes)


def _try(send: Callable[[], None]) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            return send()
        except (NotDelivered, OSError):
            if attempt == TRIES:
                raise
            time.sleep(PAUSE_SECONDS * attempt)


def _email(settings: Settings, message: Message) -> None:
    """By `smtp://user:password@host:port` (STARTTLS where offered) or `smtps://…`."""
    address = urlsplit(settings.smtp_url.get_secret_value())
    host, secure = address.hostname or "localhost", address.scheme == "smtps"
    port = address.port or (465 if secure else 25)
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = settings.alert_from or f"kehu@{host}"
    mail["To"] = settings.alert_email
    mail.set_content(message.text)
    plain = parse_qs(address.query).get("starttls") == ["0"]
    try:
        if secure:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port, timeout=settings.alert_timeout, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(host, port, timeout=settings.alert_timeout)
        with server:
            server.ehlo()
            if not secure and not plain and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if address.username:
                server.login(unquote(address.username), unquote(address.password or ""))
            server.send_message(mail)
    except smtplib.SMTPException as error:
        raise NotDelivered(f"{host}:{port}: {type(error).__name__}") from None


def _webhook(settings: Settings, message: Message) -> None:
    import httpx  # here: only a night that has something to tell needs it

    url, body = _request(settings, message, time.time())
    host = urlsplit(url).hostname
    try:
        answer = httpx.post(url, json=body, timeout=settings.alert_timeout)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # the address holds the robot's key, so it is not told
        raise NotDelivered(f"{host}: {type(error).__name__}") from None
    if answer.status_code >= 300:
        raise NotDelivered(f"{host}: HTTP {answer.status_code}")
    if settings.alert_format != "generic":  # robots answer 200 and say no in the body
        try:
            told = answer.json()
        except ValueError:
            raise NotDelivered(f"{host}: no answer of a robot") from None
        code = told.get("errcode", told.get("code", told.get("StatusCode")))
        if code != 0:
            raise NotDelivered(f"{host}: the robot says {code}")


def _request(settings: Settings, message: Message, at: float) -> tuple[str, dict[str, Any]]:
    """Address and body as the receiver wants them; `at` is the time in seconds, for signatures."""
    url = settings.alert_webhook.get_secret_value()
    secret = settings.alert_secret.get_secret_value()
    text = f"**{message.title}**\n\n" + "\n".join(message.lines)
    match settings.alert_format:
        case "wecom":  # at most 4096 bytes
            return url, {"msgtype": "markdown", "markdown": {"content": _short(text, 4000)}}
        case "dingtalk":  # at most 20000 bytes
            if secret:
                stamp = str(round(at * 1000))
                sign = _hmac(secret.encode(), f"{stamp}\n{secret}".encode())
                url += ("&" if "?" in url else "?") + f"timestamp={stamp}&sign={quote_plus(sign)}"
            markdown = {"title": message.title, "text": _short(text, 16000)}
            return url, {"msgtype": "markdown", "markdown": markdown}
        case "feishu":
            content = {"text": _short(f"{message.title}\n{message.text}", 16000)}
            body: dict[str, Any] = {"msg_type": "text", "content": content}
            if secret:
                stamp = str(round(at))
                body |= {"timestamp": stamp, "sign": _hmac(f"{stamp}\n{secret}".encode(), b"")}
            return url, body
        case _:
            return url, {
                "product": "kehu",
                "night": message.night,
                "title": message.title,
                "text": message.text,
                "causes": [c.model_dump() for c in message.causes],
            }


def _hmac(key: bytes, data: bytes) -> str:
    return base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).decode()


def _short(text: str, size: int) -> str:
    """At most so many bytes, cut between characters."""
    data = text.encode()
    return text if len(data) <= size else data[: size - 3].decode(errors="ignore") + "…"
