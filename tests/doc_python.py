"""A project's Python that imports the gateway once and runs each block in a fork: the import takes a second or two."""

import json
import subprocess
from pathlib import Path
from typing import Self

SERVER = """
import ast, asyncio, importlib, inspect, json, os, sys, traceback
import ai_base.llm.gateway.gateway, ai_base.testing.doubles

for line in sys.stdin:
    block = json.loads(line)
    child = os.fork()
    if not child:
        code = 1
        try:
            sys.stdout = sys.stderr = open(block["output"], "w", encoding="utf-8")
            os.environ.clear()
            os.environ.update(block["env"])
            os.chdir(block["folder"])
            importlib.invalidate_caches()
            compiled = compile(block["source"], "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(compiled, {"__name__": "__main__"})
            if inspect.isawaitable(result):
                asyncio.run(result)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Python:
    """Runs sources one by one, each in an interpreter of its own, with `await` allowed at top level."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def __enter__(self) -> Self:
        command = [str(self._project / ".venv/bin/python"), "-c", SERVER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, source: str, folder: Path, env: dict[str, str]) -> str:
        """Return what a source prints.

        Raises:
            AssertionError: It fails.
        """
        assert self._process.stdin
        assert self._process.stdout
        output = folder / ".git" / "output"
        block = {"source": source, "folder": str(folder), "env": env, "output": str(output)}
        self._process.stdin.write(json.dumps(block) + "\n")
        self._process.stdin.flush()
        code, printed = self._process.stdout.readline().strip(), output.read_text("utf-8")
        assert code == "0", printed
        return printed
