"""/v1/models and /v1/context_kinds: what can be asked for."""

from fastapi import APIRouter

from gapcast.contract.base import Listing
from gapcast.contract.catalog import ContextKindOut, Model
from service.catalog import service
from service.dependencies import AppState
from service.kit.errors import NotFound
from service.kit.problems import problems

router = APIRouter(tags=["catalog"])


@router.get("/models")
def list_models(state: AppState) -> Listing[Model]:
    """List the models that a worker can load: the lab's and those of the settings."""
    return Listing(data=service.models(state.settings.models))


@router.get("/models/{name:path}", responses=problems(NotFound))
def get_model(state: AppState, name: str) -> Model:
    """Get one model."""
    return service.show_model(state.settings.models, name)


@router.get("/context_kinds")
def list_context_kinds() -> Listing[ContextKindOut]:
    """List the ways to build a self-teacher's context, with their options' schema and a worked example each."""
    return Listing(data=service.context_kinds())
