"""A lab model behind the OpenAI API, for the real tools of others: chat and plain completions, one seed a request.

`python tests/harness/server.py PORT`, from the repository's root.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
import transformers

from workers.engines import model_folder

MODEL = "lab/addition-qwen3-s"
MOST_TOKENS = 8


class Lab:
    """The model; one request at a time, each with a seed of its own, so that a run in another order differs."""

    def __init__(self) -> None:
        folder = str(model_folder(MODEL))
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.lock = threading.Lock()
        self.drawn = 0

    def complete(self, prompt: str) -> tuple[str, int, int]:
        with self.lock:
            self.drawn += 1
            torch.manual_seed(self.drawn)
            read = self.tokenizer(prompt, return_tensors="pt")
            ids = self.model.generate(**read, max_new_tokens=MOST_TOKENS, do_sample=True, temperature=1.0, top_k=0)
        written = ids[0][read["input_ids"].shape[1] :]
        return self.tokenizer.decode(written, skip_special_tokens=True), read["input_ids"].shape[1], len(written)


def answer(lab: Lab, path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/chat/completions"):
        prompts = ["".join(_text(message["content"]) for message in body["messages"])]
    else:
        prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
    choices, read, written = [], 0, 0
    for index, prompt in enumerate(prompts):
        text, some, more = lab.complete(prompt)
        read, written = read + some, written + more
        said = {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        choices.append({"index": index, "finish_reason": "stop", "logprobs": None, **said})
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    kind = "chat.completion" if "messages" in body else "text_completion"
    return {"id": f"lab-{lab.drawn}", "object": kind, "created": 0, "model": MODEL, "choices": choices, "usage": usage}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Handler(BaseHTTPRequestHandler):
    lab: Lab

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = answer(self.lab, self.path, body)
        if body.get("stream"):
            self._stream(said)
        else:
            self._send(said)

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def _send(self, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self, said: dict[str, Any]) -> None:
        """The whole answer as one piece of a stream."""
        choice = said["choices"][0]
        whole = said | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": choice["message"]}]}
        end = whole | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        pieces = [f"data: {json.dumps(piece)}\n\n" for piece in (whole, end)]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join([*pieces, "data: [DONE]\n\n"]).encode())

    def log_message(self, *args: Any) -> None:
        pass


if __name__ == "__main__":
    torch.set_num_threads(1)
    Handler.lab = Lab()
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"listens on {server.server_address[1]}", flush=True)  # noqa: T201
    server.serve_forever()
