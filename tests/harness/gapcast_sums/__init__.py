"""A taskset of verifiers v1: sums of the lab, with or without a hint; `GAPCAST_SUMS` is the file of its problems."""

import json
import os
from pathlib import Path

import verifiers.v1 as vf


class SumsData(vf.TaskData):
    answer: str


class SumsTask(vf.Task[SumsData]):
    @vf.reward(weight=1.0)
    async def right(self, trace: vf.Trace) -> float:
        return float(trace.last_reply.strip() == self.data.answer)


class SumsConfig(vf.TasksetConfig):
    hint: bool = False


class SumsTaskset(vf.Taskset[SumsTask, SumsConfig]):
    def load(self) -> list[SumsTask]:
        lines = Path(os.environ["GAPCAST_SUMS"]).read_text().splitlines()
        return [self._task(json.loads(line)) for line in lines]

    def _task(self, row: dict[str, str]) -> SumsTask:
        prompt = row["hinted"] if self.config.hint else row["prompt"]
        return SumsTask(SumsData(id=row["id"], prompt=prompt, answer=row["answer"]), self.config.task)


__all__ = ["SumsTaskset"]
