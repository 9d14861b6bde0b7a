"""The nouns both programs speak of, as plain frozen records. No heavy import; Python 3.8."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Union

SHA256_LENGTH = 64
FORMATS = ("onnx", "tflite")
DEFAULT_SLOT = "default"

# Every sensor an agent may report, with its unit. A sensor that cannot be read says why.
READING_NAMES: Mapping[str, str] = {
    "governor": "",
    "cpu_frequency": "MHz",
    "cpu_frequency_max": "MHz",
    "temperature": "degC",
    "load_1m": "",
    "cpu_busy": "%",
    "power_mode": "",
    "power": "W",
    "memory_available": "bytes",
    "swap_used": "bytes",
    "uptime": "s",
}


@dataclass(frozen=True)
class Reading:
    """One sensor value, or the reason why there is none (exactly one of `value`, `unavailable` is set)."""

    name: str
    value: float | str | None = None
    unit: str = ""
    unavailable: str = ""


@dataclass(frozen=True)
class RuntimeFacts:
    """A runtime that this device can load."""

    name: str
    package: str
    version: str
    formats: tuple[str, ...]
    accelerators: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceFacts:
    board: str
    cpu_model: str
    architecture: str
    cores: int
    cpu_flags: tuple[str, ...]
    memory_bytes: int
    system: str
    kernel: str
    python_version: str
    agent_version: str
    runtimes: tuple[RuntimeFacts, ...]
    readings: tuple[Reading, ...]
    disk_free_bytes: int
    agent_memory_bytes: int
    clock_unix_ns: int = 0  # the device's wall clock; 0: not told


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and dtype of a network's input or output; an unknown dimension is its symbol or "?"."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str  # numpy name: "float32", "uint8", ...


@dataclass(frozen=True)
class Candidate:
    """One thing to run: an artifact in a runtime with its settings."""

    label: str
    sha256: str
    format: str
    runtime: str
    threads: int = 1


@dataclass(frozen=True)
class Normalization:
    """How a stored sample becomes network input: (x - mean) / std in float32, then layout, then dtype.

    `mean` and `std` have one value or one a channel; empty means 0 and 1. `layout` "nchw" transposes stored
    NHWC samples; "nhwc" and "" leave the axes alone. A network whose input is uint8 gets the samples as they are.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str = ""


@dataclass(frozen=True)
class InputSet:
    """A pushed .npy file (samples along axis 0; images uint8 NHWC in the model's channel order) and its use."""

    sha256: str
    normalization: Normalization = field(default_factory=Normalization)


@dataclass(frozen=True)
class BenchmarkPlan:
    """How a benchmark samples; times are seconds."""

    processes: int = 3
    blocks: int = 10
    block_seconds: float = 0.1
    max_seconds: float = 30.0
    warmup_seconds: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Job:
    id: str
    kind: str
    state: str
    queue_position: int = 0
    created_unix_ns: int = 0


@dataclass(frozen=True)
class SlotChange:
    """What was made active under a slot's name; `how` is "deploy" or "rollback"."""

    how: str
    label: str
    sha256: str
    runtime: str
    threads: int
    format: str
    at_unix_ns: int


@dataclass(frozen=True)
class Deployment:
    """What is active under a slot's name on a device; `history` is oldest first, its last entry the active one."""

    slot: str
    sha256: str
    label: str
    previous_sha256: str = ""
    runtime: str = ""
    threads: int = 1
    format: str = "onnx"
    deployed_unix_ns: int = 0
    history: tuple[SlotChange, ...] = ()


@dataclass(frozen=True)
class DeployGoals:
    """What has to hold on the device before a slot switches; None: not asked.

    `expected_sha256` is an .npz of the baseline's outputs for `golden`. With `classes` the first output has one
    score a class, and `labels` (may be empty) has the index of the right one for each sample. `max_latency_ms` bounds
    the 90th percentile; `max_drop` the loss of right answers, or without labels of the baseline's answers, in
    percentage points.
    """

    golden: InputSet
    expected_sha256: str
    classes: bool = False
    labels: tuple[int, ...] = ()
    max_latency_ms: float | None = None
    max_drop: float | None = None


@dataclass(frozen=True)
class DeployChecks:
    """What was found on the device; `samples` 0 means that latency was not asked for."""

    samples: int
    p50_ns: int
    p90_ns: int
    count: int
    sqnr_db: float
    agreement: float | None = None
    drop: float | None = None


@dataclass(frozen=True)
class Progress:
    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Loaded:
    """A fresh worker has loaded a candidate; all times are ns."""

    label: str
    process: int
    spawn_ns: int
    load_ns: int
    first_inference_ns: int
    runtime_version: str
    accelerator: str
    cpus: tuple[int, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Block:
    """Consecutive timed inferences of one candidate in one process; blocks of one (process, index) are paired."""

    label: str
    process: int
    index: int
    warmup: bool
    samples_ns: tuple[int, ...]
    started_ns: int
    cpu_ns: int
    involuntary_switches: int


@dataclass(frozen=True)
class Telemetry:
    at_ns: int
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Outputs:
    """A candidate's outputs for an input set: an .npz artifact, one array per output, samples along axis 0."""

    label: str
    sha256: str


@dataclass(frozen=True)
class Overhead:
    """The harness timed around a network that does nothing."""

    samples_ns: tuple[int, ...]
    timer_resolution_ns: int


@dataclass(frozen=True)
class WorkerClosed:
    label: str
    process: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class Ended:
    """The last event of every job."""

    state: str
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""


JobPayload = Union[Progress, Loaded, Block, Telemetry, Outputs, Overhead, WorkerClosed, Ended]


@dataclass(frozen=True)
class JobEvent:
    sequence: int
    payload: JobPayload


@dataclass(frozen=True)
class PushState:
    """How much of an artifact an agent already holds."""

    complete: bool
    received_bytes: int


@dataclass(frozen=True)
class PairedController:
    name: str
    fingerprint: str
    certificate: str
    paired_unix_ns: int
    note: str | None = None
