"""Deployments ("endpoints") and their keys (docs/protocol.md, section 3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from .chat import AdapterRef
from .wire import Timestamp, WireReader, WireWriter

AuthMode = Literal["none", "fixed_api_key"]
RetentionMode = Literal["unlimited", "days", "disabled"] | str
Slug = Annotated[
    str,
    StringConstraints(min_length=2, max_length=50, pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$"),
]
"""2 to 50 of ``[a-z0-9-]``, a letter or digit at both ends."""


class AdapterTarget(WireWriter):
    """An endpoint that answers with a job's adapter."""

    kind: Literal["adapter"] = "adapter"
    adapter: AdapterRef


class BaseModelTarget(WireWriter):
    """An endpoint that answers with an untuned model."""

    kind: Literal["base_model"] = "base_model"
    base_model: str


Target = AdapterTarget | BaseModelTarget


class _Retention(WireWriter):
    run_retention_mode: RetentionMode | None = None
    run_retention_days: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _days_go_with_days(self) -> _Retention:
        if (self.run_retention_mode == "days") != (self.run_retention_days is not None):
            raise ValueError("run_retention_days goes with run_retention_mode 'days', and only so")
        return self


class EndpointCreate(_Retention):
    """Body of ``POST /v1/endpoints``."""

    slug: Slug
    target: Target
    auth_mode: AuthMode


class EndpointUpdate(_Retention):
    """Body of ``PATCH /v1/endpoints/:id``: what is None stays as it is."""

    target: Target | None = None
    auth_mode: AuthMode | None = None
    enabled: bool | None = None


class Deployment(WireReader):
    """An endpoint as read. ``target`` is kept open: servers know more kinds than we do."""

    id: str
    slug: str
    org_id: str | None = None
    project_id: str | None = None
    target: dict[str, Any]
    auth_mode: str
    url_format: str | None = None
    enabled: bool = True
    custom_domain: str | None = None
    run_retention_mode: str | None = None
    run_retention_days: int | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None
    expires_at: Timestamp = None


class DeploymentEnvelope(WireReader):
    """Answer that holds one endpoint."""

    deployment: Deployment


class DeploymentList(WireReader):
    """Answer of ``GET /v1/endpoints``."""

    deployments: list[Deployment]


class KeyCreate(WireWriter):
    """Body of ``POST /v1/endpoints/:id/keys``: a label of 1 to 80 characters."""

    label: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class EndpointKey(WireReader):
    """A key as listed; its plaintext is never part of a list."""

    id: str
    label: str
    prefix: str | None = None
    enabled: bool = True
    created_at: Timestamp = None
    last_used_at: Timestamp = None


class NewEndpointKey(WireReader):
    """A key right after its creation, the only time that ``plaintext`` is told."""

    id: str
    label: str
    plaintext: str = Field(repr=False)
    prefix: str | None = None
    created_at: Timestamp = None


class NewKeyEnvelope(WireReader):
    """Answer of ``POST /v1/endpoints/:id/keys``."""

    key: NewEndpointKey
