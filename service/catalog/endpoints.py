"""GET /v1/models, /v1/tasks, /v1/context_kinds."""

from fastapi import APIRouter

from service.catalog import service

router = APIRouter(tags=["catalog"])


@router.get("/models")
def list_models() -> service.Listing[service.Model]:
    """List the models that a worker can load."""
    return service.Listing(data=service.models())


@router.get("/tasks")
def list_tasks() -> service.Listing[service.Task]:
    """List the tasks that a gap can be measured on."""
    return service.Listing(data=service.tasks())


@router.get("/context_kinds")
def list_context_kinds() -> service.Listing[service.ContextKindOut]:
    """List the ways to build a self-teacher's context, with their options."""
    return service.Listing(data=service.context_kinds())
