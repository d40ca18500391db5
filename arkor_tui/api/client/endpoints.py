"""Calls about endpoints (docs/protocol.md, section 3)."""

from __future__ import annotations

from arkor_tui.api import endpoints
from arkor_tui.api.scope import Scope
from arkor_tui.api.wire import read_json

from .caller import Caller, query_of, segment


class EndpointCalls(Caller):
    """Endpoints and their keys."""

    async def list_endpoints(self, scope: Scope) -> list[endpoints.Deployment]:
        """Every endpoint of the scope."""
        answer = await self.json(
            endpoints.DeploymentList, "GET", "/v1/endpoints", query=query_of(scope)
        )
        return answer.deployments

    async def create_endpoint(
        self, scope: Scope, endpoint: endpoints.EndpointCreate
    ) -> endpoints.Deployment:
        """Create one; a taken slug is an :class:`ApiError` with status 409."""
        answer = await self.json(
            endpoints.DeploymentEnvelope,
            "POST",
            "/v1/endpoints",
            query=query_of(scope),
            body=endpoint.to_wire(),
        )
        return answer.deployment

    async def get_endpoint(self, scope: Scope, endpoint_id: str) -> endpoints.Deployment:
        """One endpoint."""
        path = _endpoint_path(endpoint_id)
        answer = await self.json(endpoints.DeploymentEnvelope, "GET", path, query=query_of(scope))
        return answer.deployment

    async def update_endpoint(
        self, scope: Scope, endpoint_id: str, change: endpoints.EndpointUpdate
    ) -> endpoints.Deployment:
        """Change what ``change`` names."""
        answer = await self.json(
            endpoints.DeploymentEnvelope,
            "PATCH",
            _endpoint_path(endpoint_id),
            query=query_of(scope),
            body=change.to_wire(),
        )
        return answer.deployment

    async def delete_endpoint(self, scope: Scope, endpoint_id: str) -> None:
        """Remove an endpoint for good."""
        await self.send("DELETE", _endpoint_path(endpoint_id), query=query_of(scope))

    async def list_endpoint_keys(
        self, scope: Scope, endpoint_id: str
    ) -> list[endpoints.EndpointKey]:
        """An endpoint's keys, never with their plaintext, even if a server sent it."""
        raw = await self.send("GET", f"{_endpoint_path(endpoint_id)}/keys", query=query_of(scope))
        try:
            listed = read_json(raw)["keys"]
            return [
                endpoints.EndpointKey.model_validate(
                    {name: value for name, value in key.items() if name != "plaintext"}
                )
                for key in listed
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self.not_arkor("GET /v1/endpoints/:id/keys") from error

    async def create_endpoint_key(
        self, scope: Scope, endpoint_id: str, label: str
    ) -> endpoints.NewEndpointKey:
        """Make a key. Its plaintext is told here and never again."""
        answer = await self.json(
            endpoints.NewKeyEnvelope,
            "POST",
            f"{_endpoint_path(endpoint_id)}/keys",
            query=query_of(scope),
            body=endpoints.KeyCreate(label=label).to_wire(),
        )
        return answer.key

    async def delete_endpoint_key(self, scope: Scope, endpoint_id: str, key_id: str) -> None:
        """Remove a key for good."""
        path = f"{_endpoint_path(endpoint_id)}/keys/{segment(key_id)}"
        await self.send("DELETE", path, query=query_of(scope))


def _endpoint_path(endpoint_id: str) -> str:
    return f"/v1/endpoints/{segment(endpoint_id)}"
