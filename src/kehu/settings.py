"""Where things lie and how a run is tuned; every value can be set as KEHU_<NAME> in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Paths and knobs of one installation.

    `home` holds everything that Kehu writes, `landing` is where sources drop files, `project` is
    the checkout with models, contracts and seeds. KEHU_LANDING=s3://bucket/prefix makes the landing
    place a bucket: then `landing_bucket` holds `bucket/prefix`, and `landing` means nothing.
    """

    model_config = SettingsConfigDict(env_prefix="KEHU_", extra="ignore")

    home: Path = Path("var")
    landing: Path = Path("landing")
    project: Path = PROJECT
    timezone: str = "Asia/Shanghai"
    param_scope: str = "default"
    memory_limit: str = "2GB"
    threads: int = Field(default=2, ge=1)
    keep_publications: int = Field(default=7, ge=1)
    retention_days_batches: int = Field(default=30, ge=0)
    retention_days_runs: int = Field(default=30, ge=0)
    publish_without_sources: bool = False
    landing_bucket: str | None = None
    landing_endpoint: str | None = None  # of a server that speaks S3, such as http://minio:9000
    settle_seconds: float = Field(default=5, ge=0, le=600)
    unpacked_gigabytes: float = Field(default=20, gt=0)  # what one ZIP archive or workbook may hold
    clock_may_go_back: bool = False

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
        return value.expanduser().resolve()

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
        return self.project / "expectations" / "feeds"

    @property
    def suites(self) -> Path:
        return self.project / "expectations" / "suites"
