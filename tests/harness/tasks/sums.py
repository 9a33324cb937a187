"""A task of inspect-ai: sums of the lab, with or without a hint, asked of tests/harness/server.py (`LAB_URL`)."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, get_model, modelapi
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@modelapi(name="lab")
class Lab(ModelAPI):
    async def generate(
        self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        messages = [{"role": message.role, "content": message.text} for message in input]
        async with httpx.AsyncClient(timeout=300) as client:
            answer = await client.post(f"{os.environ['LAB_URL']}/chat/completions", json={"messages": messages})
        return ModelOutput.from_content(self.model_name, answer.json()["choices"][0]["message"]["content"])


@task
def sums(hint: bool = False) -> Task:
    rows = [json.loads(line) for line in Path(os.environ["GAPCAST_SUMS"]).read_text().splitlines()]
    samples = [
        Sample(id=row["id"], input=row["hinted"] if hint else row["prompt"], target=row["answer"]) for row in rows
    ]
    return Task(dataset=samples, solver=generate(), scorer=match(location="exact"), model=get_model("lab/addition"))
