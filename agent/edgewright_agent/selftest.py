"""Does a model load and run in each runtime found here? One Relu on four numbers, in a worker like any other."""

from __future__ import annotations

import argparse
import base64
import hashlib
import tempfile
from pathlib import Path

from edgewright_agent.commands import print_document, print_lines
from edgewright_agent.measure.smoke import run_smoke
from edgewright_agent.measure.values import LocalCandidate
from edgewright_agent.runtimes import registry
from edgewright_agent.settings import Settings
from edgewright_contract.errors import EXIT_DONE, EXIT_FAILED, EdgewrightError
from edgewright_contract.values import Candidate, RuntimeFacts

# float32 [1, 4] -> Relu -> float32 [1, 4]; ONNX: IR 8, opset 13; TFLite: schema 3. Made with onnx.helper and
# with the schema classes of ai-edge-litert.
MODELS = {
    "onnx": (
        "CAgSCmVkZ2V3cmlnaHQ6VAoVCgVpbnB1dBIGb3V0cHV0IgRSZWx1EghzZWxmdGVzdFoXCgVpbnB1dBIOCgwIARIICgIIAQoCCARi"
        "GAoGb3V0cHV0Eg4KDAgBEggKAggBCgIIBEIECgAQDQ=="
    ),
    "tflite": (
        "CAAAAFRGTDO2////FAAAACAAAAA0AAAADAEAAAMAAAABAAAACAAAAAQABAAEAAAAEwAAAGVkZ2V3cmlnaHQgc2VsZnRlc3QAAQAA"
        "ABQAAAAAAA4AGAAUABAADAAIAAQADgAAABQAAAAcAAAASAAAAEwAAABQAAAABAAAAG1haW4AAAAAAQAAABAAAAAAAAoADAAAAAgA"
        "BAAKAAAACAAAAAwAAAABAAAAAQAAAAEAAAAAAAAAAQAAAAEAAAABAAAAAAAAAAIAAAA4AAAABAAAANz///8IAAAAEAAAAAYAAABv"
        "dXRwdXQAAAIAAAABAAAABAAAAAwADAAIAAAAAAAEAAwAAAAIAAAAEAAAAAUAAABpbnB1dAAAAAIAAAABAAAABAAAAAEAAAAQAAAA"
        "DAAMAAsAAAAAAAQADAAAABMAAAAAAAAT"
    ),
}


def _test(runtime: RuntimeFacts, model_format: str, folder: Path, settings: Settings) -> dict[str, object]:
    result: dict[str, object] = {"runtime": runtime.name, "version": runtime.version, "format": model_format}
    if model_format not in MODELS:
        return {**result, "result": "not tested", "reason": "there is no built-in model of this format"}
    data = base64.b64decode(MODELS[model_format])
    model = folder / f"selftest.{model_format}"
    model.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    candidate = Candidate("selftest", sha256, model_format, runtime.name, 1)
    try:
        loaded = run_smoke(LocalCandidate(candidate, model), settings.worker())
    except EdgewrightError as error:
        return {**result, "result": "failed", "reason": error.message, "code": error.code.value}
    return {
        **result,
        "result": "passed",
        "accelerator": loaded.accelerator,
        "load_ns": loaded.load_ns,
        "first_inference_ns": loaded.first_inference_ns,
    }


def selftest_command(options: argparse.Namespace) -> int:
    """Exit status 1 where a runtime failed or there is none."""
    settings = Settings(state=options.state, sysroot=options.sysroot)
    runtimes = registry.available()
    with tempfile.TemporaryDirectory(prefix="edgewright-selftest-") as folder:
        results = [
            _test(runtime, model_format, Path(folder), settings)
            for runtime in runtimes
            for model_format in runtime.formats
        ]
    ok = bool(results) and all(one["result"] != "failed" for one in results)
    if options.json:
        print_document({"passed": ok, "results": results})
    else:
        for one in results:
            reason = f": {one['reason']}" if "reason" in one else ""
            print_lines(f"{one['result']:<11} {one['runtime']} {one['version']} ({one['format']}){reason}")
        if not results:
            print_lines("no runtime is installed: install onnxruntime, ai-edge-litert or tflite-runtime")
    return EXIT_DONE if ok else EXIT_FAILED
