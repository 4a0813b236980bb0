"""Where things lie and how a run is tuned; every value can be set as KEHU_<NAME> in the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PROJECT = Path(__file__).resolve().parents[2]
ENV_FILE = "kehu.env"


def company_folder() -> Path | None:
    """The company's own folder (`kehu init`): KEHU_COMPANY, or where we are if settings lie there."""
    named = os.environ.get("KEHU_COMPANY")
    folder = Path(named).expanduser() if named else Path()
    return folder.resolve() if named or (folder / ENV_FILE).is_file() else None


class Settings(BaseSettings):
    """Paths and knobs of one installation.

    `home` holds everything that Kehu writes, `landing` is where sources drop files, `project` is
    the checkout with models, contracts and seeds. KEHU_LANDING=s3://bucket/prefix makes the landing
    place a bucket: then `landing_bucket` holds `bucket/prefix`, and `landing` means nothing.
    `company` is a company's own folder; its `kehu.env` gives what the environment does not, its
    contracts, suites and seeds take the place of the project's, and paths are relative to it.
    """

    model_config = SettingsConfigDict(env_prefix="KEHU_", extra="ignore")

    home: Path = Field(
        default=Path("var"),
        description="everything that Kehu writes; archive/ in it is what to back up",
    )
    landing: Path = Field(
        default=Path("landing"),
        description="where sources drop files: a folder, or s3://bucket/prefix",
    )
    project: Path = PROJECT
    timezone: str = Field(
        default="Asia/Shanghai", description="of the company; times without a zone are in it"
    )
    param_scope: str = Field(default="default", description="which rows of seeds/param.csv hold")
    memory_limit: str = Field(default="2GB", description="for DuckDB")
    threads: int = Field(
        default=2, ge=1, description="for DuckDB and for reading files side by side"
    )
    pages: bool = Field(
        default=True,
        description="a publication has a page, the report and the quality report beside its marts",
    )
    page_stores: int = Field(
        default=7, ge=0, description="how many stores the page offers, those with most customers"
    )
    page_seconds: float = Field(
        default=600, gt=0, description="a publication waits no longer for its page and report"
    )
    keep_publications: int = Field(
        default=7, ge=1, description="how many earlier publications a rollback can go back to"
    )
    retention_days_batches: int = Field(
        default=30, ge=0, description="how long typed batches are kept; they can be made again"
    )
    retention_days_runs: int = Field(
        default=30, ge=0, description="how long the working files of a run are kept"
    )
    publish_without_sources: bool = Field(
        default=False, description="publish although a source database could not be reached"
    )
    landing_bucket: str | None = None
    landing_endpoint: str | None = Field(
        default=None, description="of a server that speaks S3, such as http://minio:9000"
    )
    settle_seconds: float = Field(
        default=5,
        ge=0,
        le=600,
        description="a file younger than this is looked at twice before it is taken in",
    )
    unpacked_gigabytes: float = Field(
        default=20, gt=0, description="what one ZIP archive or workbook may hold"
    )
    clock_may_go_back: bool = Field(
        default=False, description="go on although the clock shows less than the last run's"
    )
    company: Path | None = Field(default_factory=company_folder)
    publish_to: SecretStr = Field(
        default=SecretStr(""),  # a URL may hold a password
        description="where each publication is copied, separated by commas: the name of a connection, "
        "postgresql://…, ./folder",
    )
    publish_facts: bool = Field(
        default=False, description="copy the facts of core to these places as well"
    )
    publish_role: str = Field(
        default="kehu_reader", description="role of PostgreSQL that may read the copy; empty: none"
    )
    publish_prefix: str = Field(
        default="",
        description="stands before core and marts in PostgreSQL, where these names are taken",
    )
    publish_wait: float = Field(
        default=600, ge=0, description="seconds that a copy waits for readers before it gives up"
    )
    alert_email: str = Field(
        default="", description="who is told of failures: addresses, separated by commas"
    )
    alert_from: str = Field(default="", description="the address that mails come from")
    smtp_url: SecretStr = Field(
        default=SecretStr(""), description="smtp://user:password@host:587 or smtps://..."
    )
    alert_webhook: SecretStr = Field(
        default=SecretStr(""), description="the address of a robot, which holds its key"
    )
    alert_format: Literal["generic", "wecom", "dingtalk", "feishu"] = Field(
        default="generic", description="what the robot reads: generic, wecom, dingtalk, feishu"
    )
    alert_secret: SecretStr = Field(
        default=SecretStr(""), description="with which DingTalk and Feishu want to be signed"
    )
    alert_timeout: float = Field(default=10, gt=0, description="seconds to wait for the robot")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = company_folder()
        if folder is None:
            return init_settings, env_settings
        file = DotEnvSettingsSource(settings_cls, env_file=folder / ENV_FILE)
        return init_settings, env_settings, file

    @model_validator(mode="before")
    @classmethod
    def _folder_or_bucket(cls, data: dict[str, Any]) -> dict[str, Any]:
        place = str(data.get("landing", ""))
        if not place.lower().startswith("s3://"):
            return data
        rest = {name: value for name, value in data.items() if name != "landing"}
        return rest | {"landing_bucket": place[5:].strip("/")}

    @field_validator("home", "landing", "project")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return ((company_folder() or Path()) / value.expanduser()).resolve()

    @field_validator("company")
    @classmethod
    def _from_where_we_are(cls, value: Path | None) -> Path | None:
        return value.expanduser().resolve() if value else None

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def marts(self) -> Path:
        return self.home / "marts.duckdb"

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    @property
    def batches(self) -> Path:
        return self.home / "batches"

    @property
    def reference(self) -> Path:
        return self.home / "reference"

    @property
    def collected(self) -> Path:
        return self.home / "collected"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def publications(self) -> Path:
        return self.home / "publications"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def contracts(self) -> Path:
        own = self.company / "expectations" / "feeds" if self.company else None
        return own if own and own.is_dir() else self.project / "expectations" / "feeds"

    @property
    def suites(self) -> Path:
        return self.project / "expectations" / "suites"

    def suite_files(self) -> dict[str, Path]:
        """The suites by name; one of the company's takes the place of a shipped one."""
        folders = [self.suites]
        if self.company:
            folders.append(self.company / "expectations" / "suites")
        return {p.stem: p for folder in folders for p in sorted(folder.glob("*.json"))}
