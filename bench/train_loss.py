"""Memory and time of the trainer's loss, forward and backward, beside the loss as one writes it down.

The peer makes the logits of all tokens, of student and self-teacher, and leaves the rest to autograd. It gets an eighth
of the tokens, and its figures are multiplied by 8: all of them would need more memory than most machines have. Each
part runs in a process of its own. Memory is by how much the process's high-water mark rises; the head's own gradient,
38 MB, is in both (and so 8 times in the peer's, under 2 % of it). Seconds are those of one core. Both are held against
the definition in float64, on the peer's tokens: the loss, and the length of its gradient by the hidden states.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

from gapcast.launching import module_command, safe_environment

GATE = 0.1
SAME = 1e-5
TOKENS, VOCABULARY, WIDTH = 8192, 150_000, 64
SHARE = 8
SLICE = 128  # tokens in float64 at a time: 150 MB a matrix
LOSSES: dict[str, dict[str, Any]] = {
    "forward KL": {"divergence": "forward_kl"},
    "reverse KL, top 20": {"divergence": "reverse_kl", "top_k": 20},
    "Jensen-Shannon": {"divergence": "js", "alpha": 0.5},
}


def naive(student: Any, teacher: Any, divergence: str, top_k: int | None = None, alpha: float | None = None) -> Any:
    """The mean divergence from two matrices of logits."""
    import torch

    p, q = student.log_softmax(dim=-1), teacher.log_softmax(dim=-1)
    if top_k is not None:
        top = p.topk(top_k, dim=-1).indices
        p, q = (
            torch.cat([kept, torch.log1p(-kept.exp().sum(dim=-1, keepdim=True))], dim=-1)
            for kept in (p.gather(-1, top), q.gather(-1, top))
        )
    if divergence == "forward_kl":
        return (q.exp() * (q - p)).sum(dim=-1).mean()
    if divergence == "reverse_kl":
        return (p.exp() * (p - q)).sum(dim=-1).mean()
    m = (alpha * p.exp() + (1 - alpha) * q.exp()).log()
    return (alpha * p.exp() * (p - m) + (1 - alpha) * q.exp() * (q - m)).sum(dim=-1).mean()


def measure(name: str, way: str) -> dict[str, float]:
    """One forward and backward: `chunked` over all tokens; over the peer's `part` the same, `naive`, and `exact`."""
    import torch

    from workers.opsd.losses import Objective, TeacherPart, divergence_sums

    torch.set_num_threads(1)
    torch.manual_seed(0)
    head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False)
    with torch.no_grad():
        head.weight.normal_(std=0.4)  # logits of a few nats, as a model's
    tokens = TOKENS if way == "chunked" else TOKENS // SHARE
    states = torch.randn(2, TOKENS, WIDTH)[:, :tokens]
    if way == "exact":
        head, states = head.double(), states.double()
    hidden, other = states[0].clone().requires_grad_(), states[1].clone()

    def plain(rows: slice) -> Any:
        with torch.no_grad():
            teacher = head(other[rows])
        return naive(head(hidden[rows]), teacher, **LOSSES[name])

    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if way == "exact":
        loss = 0.0
        for start in range(0, tokens, SLICE):
            part = plain(slice(start, start + SLICE)) * SLICE / tokens
            part.backward()
            loss += float(part.detach())
    else:
        if way == "naive":
            mean = plain(slice(None))
        else:
            mean = divergence_sums(hidden, head, [TeacherPart(other, head)], Objective(**LOSSES[name])).loss / tokens
        mean.backward()
        loss = float(mean.detach())
    seconds = time.process_time() - began
    return {
        "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "seconds": seconds,
        "loss": loss,
        "gradient": float(hidden.grad.norm()),
    }


def measured(name: str, way: str) -> dict[str, float]:
    """The same in a process of its own."""
    done = subprocess.run(
        module_command("bench.train_loss", name, way),
        env=safe_environment(os.environ),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    print(
        f"\nloss of the trainer: {TOKENS} tokens x {VOCABULARY} words, width {WIDTH}, forward and backward, one core; "
        f"the plain loss at {TOKENS // SHARE} tokens x {SHARE}"
    )
    for name in LOSSES:
        chunked, part, plain, exact = (measured(name, way) for way in ("chunked", "part", "naive", "exact"))
        memory = chunked["megabytes"] / (SHARE * plain["megabytes"])
        off, plain_off = (
            max(abs(found[what] / exact[what] - 1) for what in ("loss", "gradient")) for found in (part, plain)
        )
        verdict = "met" if memory <= GATE and off <= SAME else "MISSED"
        print(
            f"  {name:20} memory {chunked['megabytes']:6.0f} MB against {SHARE * plain['megabytes']:6.0f} MB  "
            f"ratio {memory:.3f}  gate {GATE}   seconds {chunked['seconds']:5.1f} against "
            f"{SHARE * plain['seconds']:5.1f}   off by {off:.0e} against {plain_off:.0e}  gate {SAME:.0e}  {verdict}",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main()
