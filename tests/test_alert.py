"""Alerts as they arrive: at a local HTTP receiver and a local mail server, from real processes too."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from houses import AS_OF, House, valid
from nights import run

from kehu import alert, night
from kehu.alert import Cause
from kehu.errors import CheckFailed
from kehu.settings import PROJECT, Settings

TWO = [
    Cause(kind="REFUSED", key="b1", text="sales_line/a.csv: refused"),
    Cause(kind="MISSING", key="S1", text="sales_line, store S1: 2017-03-31"),
]


class Receiver:
    """A web server that keeps what is posted, and answers as told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answers: list[tuple[int, Any]] = []  # one for each request to come; then 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(json.loads(body))
                outer.paths.append(self.path)
                status, answer = outer.answers.pop(0) if outer.answers else (200, {"errcode": 0})
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/robot?key=s3cret"


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP as a sender needs; keeps the mails."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.logins: list[str] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

            def handle(self) -> None:
                self.say("220 here")
                while line := self.rfile.readline().decode().strip():
                    match line.split()[0].upper():
                        case "EHLO":
                            self.say("250-here")
                            self.say("250 AUTH PLAIN")
                        case "AUTH":
                            outer.logins.append(base64.b64decode(line.split()[2]).decode())
                            self.say("235 welcome")
                        case "DATA":
                            self.say("354 go on")
                            mail = b""
                            while (part := self.rfile.readline()) != b".\r\n":
                                mail += part
                            outer.mails.append(mail.decode())
                            self.say("250 taken")
                        case "QUIT":
                            self.say("221 bye")
                            return
                        case _:
                            self.say("250 fine")

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"smtp://kehu:geheim%40@127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert, "PAUSE_SECONDS", 0.0)


def journal(settings: Settings, step: str) -> list[dict[str, Any]]:
    path = settings.log / "steps.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["step"] == step]


def configured(house: House, **values: Any) -> Settings:
    """The settings that the environment would give."""
    return Settings(home=house.settings.home, landing=house.settings.landing, **values)


def test_without_a_channel_an_alert_stands_in_the_journal(house: House) -> None:
    alert.tell(house.settings, AS_OF, "run", TWO)
    [line] = journal(house.settings, "alert:log")
    assert line["title"] == "Kehu 2017-03-31: files were refused (1), store-days are missing (1)"
    assert "- sales_line, store S1: 2017-03-31" in line["lines"]


def test_a_cause_is_told_once_a_night_on_each_channel(house: House, receiver: Receiver) -> None:
    settings = configured(house, alert_webhook=receiver.url)
    alert.tell(settings, AS_OF, "run", TWO[:1])
    alert.tell(settings, AS_OF, "another run", TWO)
    alert.tell(settings, AS_OF, "another run", TWO)
    alert.tell(settings, date(2017, 4, 1), "the next night", TWO[:1])
    told = [[c["key"] for c in body["causes"]] for body in receiver.got]
    assert told == [["b1"], ["S1"], ["b1"]]
    assert receiver.got[0] == {
        "product": "kehu",
        "night": "2017-03-31",
        "title": "Kehu 2017-03-31: files were refused (1)",
        "text": "Files were refused 文件被拒收: 1\n- sales_line/a.csv: refused",
        "causes": [{"kind": "REFUSED", "key": "b1", "text": "sales_line/a.csv: refused"}],
    }


def test_a_channel_that_fails_is_tried_again_noted_and_told_later(
    house: House, receiver: Receiver
) -> None:
    settings = configured(house, alert_webhook=receiver.url)
    receiver.answers = [(500, {}), (500, {})]
    alert.tell(settings, AS_OF, "run", TWO)
    assert len(receiver.got) == 3, "the third try arrived"
    assert not [line for line in journal(settings, "alert:webhook") if line["state"] == "failed"]
    receiver.answers = [(500, {})] * 3
    alert.tell(settings, date(2017, 4, 1), "run", TWO)
    [failed] = [line for line in journal(settings, "alert:webhook") if line["state"] == "failed"]
    assert failed["error"] == "127.0.0.1: HTTP 500"
    assert "s3cret" not in (settings.log / "steps.jsonl").read_text()
    alert.tell(settings, date(2017, 4, 1), "again", TWO)
    assert len(receiver.got) == 7, "what did not arrive is told when the next step tells something"


def test_nobody_there_is_no_reason_to_lose_a_night(house: House) -> None:
    settings = configured(
        house,
        alert_webhook="http://127.0.0.1:9/?key=s3cret",
        alert_email="a@example.com",
        smtp_url="smtp://127.0.0.1:9",
    )
    alert.tell(settings, AS_OF, "run", TWO)
    for channel in ("webhook", "email"):
        assert journal(settings, f"alert:{channel}")[0]["state"] == "failed"
    settings.home.joinpath("alerts").rename(settings.home / "gone")
    (settings.home / "alerts").write_text("a file where a folder should be")
    alert.tell(settings, AS_OF, "run", TWO)
    assert journal(settings, "alert")[-1]["state"] == "failed"


def test_by_mail(house: House, mail_server: MailServer) -> None:
    settings = configured(
        house, alert_email="a@example.com, b@example.com", smtp_url=mail_server.url
    )
    alert.tell(settings, AS_OF, "run", TWO[1:])
    [mail] = mail_server.mails
    assert mail_server.logins == ["\0kehu\0geheim@"]
    assert "To: a@example.com, b@example.com" in mail
    assert "Subject: Kehu 2017-03-31: store-days are missing (1)" in mail


def test_robots_get_what_they_understand(house: House, receiver: Receiver) -> None:
    message = alert.compose("2017-03-31", TWO)
    url = "https://robot/send?key=k"

    def request(form: str, secret: str = "") -> tuple[str, dict[str, Any]]:
        settings = configured(house, alert_webhook=url, alert_format=form, alert_secret=secret)
        return alert._request(settings, message, 1_490_000_000.25)

    address, body = request("wecom")
    assert (address, body["msgtype"]) == (url, "markdown")
    assert body["markdown"]["content"].startswith("**Kehu 2017-03-31: files were refused (1)")
    address, body = request("dingtalk", "SEC1")
    told = {k: v[0] for k, v in parse_qs(urlsplit(address).query).items()}
    # as DingTalk documents it: HMAC-SHA256 of "timestamp\nsecret" under the secret, milliseconds
    expected = hmac.new(b"SEC1", b"1490000000250\nSEC1", hashlib.sha256).digest()
    assert told == {
        "key": "k",
        "timestamp": "1490000000250",
        "sign": base64.b64encode(expected).decode(),
    }
    assert body["markdown"]["title"] == message.title
    address, body = request("feishu", "SEC1")
    # as Feishu documents it: HMAC-SHA256 of nothing under "timestamp\nsecret", seconds
    expected = hmac.new(b"1490000000\nSEC1", b"", hashlib.sha256).digest()
    assert body["timestamp"] == "1490000000"
    assert body["sign"] == base64.b64encode(expected).decode()
    assert body["content"]["text"].endswith("- sales_line, store S1: 2017-03-31")
    many = [Cause(kind="VOLUME", key=str(n), text="单" * 300) for n in range(50)]
    long = configured(house, alert_webhook=url, alert_format="wecom")
    _, body = alert._request(long, alert.compose("2017-03-31", many), 0)
    assert len(body["markdown"]["content"].encode()) <= 4096


def test_a_robot_that_says_no_has_not_been_told(house: House, receiver: Receiver) -> None:
    settings = configured(house, alert_webhook=receiver.url, alert_format="wecom")
    receiver.answers = [(200, {"errcode": 93000})] * 3
    alert.tell(settings, AS_OF, "run", TWO)
    assert journal(settings, "alert:webhook")[0]["error"] == "127.0.0.1: the robot says 93000"
    alert.tell(settings, AS_OF, "run", TWO)
    assert journal(settings, "alert:webhook")[1]["state"] == "sent"


def test_refused_files_are_told_without_personal_data(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of members without a header: what stands there as header is a person."""
    monkeypatch.setenv("KEHU_ALERT_WEBHOOK", receiver.url)
    house.drop("member", "M1,王芳,13800138000\nM2,李雷,13900139000\n")
    house.drop("sales_line", "store_code,business_date\nS1,2017-03-31\n")
    house.drop("store", [valid("store")])
    house.take_in()
    [body] = receiver.got
    assert [c["kind"] for c in body["causes"]] == ["REFUSED", "REFUSED"]
    assert "member/a.csv: by" in body["text"] and "sales_line/a.csv" in body["text"]
    sent = json.dumps(body, ensure_ascii=False)
    assert not any(told in sent for told in ("王芳", "13800138000", "李雷"))


def test_unusual_volumes_are_told(house: House, receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setenv("KEHU_ALERT_WEBHOOK", receiver.url)
    receipts = [valid("sales_line", receipt_no=f"R{n}") for n in range(20)]
    house.drop("sales_line", receipts)
    house.drop("store", [valid("store")])
    house.take_in(expectations=True)
    [cause] = [c for c in receiver.got[0]["causes"] if c["kind"] == "VOLUME"]
    assert cause["text"].startswith("sales_line/a.csv: sales_line.doubled_receipts: store_days = 1")
    assert "observed_twin_receipts = 20" in cause["text"]


def test_the_callback_of_airflow(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_ALERT_WEBHOOK", receiver.url)

    def failed(error: Exception, attempt: int) -> None:
        ti = SimpleNamespace(dag_id="kehu_publish", task_id="audit")
        night.notify_failure(
            {"ti": ti, "run_id": f"r{attempt}", "as_of": "2017-03-31", "exception": error}
        )

    failed(CheckFailed("the marts fail their audit"), 1)
    failed(CheckFailed("the marts fail their audit"), 2)  # a retry says nothing new
    failed(ValueError("could not convert '王芳'"), 3)
    texts = [c["text"] for body in receiver.got for c in body["causes"]]
    assert texts == [
        "kehu_publish.audit: CheckFailed: the marts fail their audit",
        "kehu_publish.audit: ValueError: see the log of the night",
    ]
    assert len(journal(house.settings, "airflow:kehu_publish.audit")) == 3


def test_a_night_that_fails_tells_it_from_its_own_process(
    house: House, receiver: Receiver, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "expectations", project / "expectations")
    (project / "expectations" / "feeds" / "store.yml").write_text("feed: store\n", encoding="utf-8")
    home, landing = house.settings.home, house.settings.landing
    extra = {"KEHU_PROJECT": str(project), "KEHU_ALERT_WEBHOOK": receiver.url}
    for _ in range(2):
        done = run(home, landing, "night", "--as-of", "2017-03-31", check=False, **extra)
        assert done.returncode == 1
        assert "store.yml" in done.stderr
    [body] = receiver.got
    [cause] = body["causes"]
    assert cause["kind"] == "FAILED"
    assert "ContractError" in cause["text"] and "store.yml" in cause["text"]
