from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PairRequest(_message.Message):
    __slots__ = ("controller_name", "controller_certificate")
    CONTROLLER_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    controller_name: str
    controller_certificate: bytes
    def __init__(self, controller_name: _Optional[str] = ..., controller_certificate: _Optional[bytes] = ...) -> None: ...

class PairResponse(_message.Message):
    __slots__ = ("agent_name", "agent_version")
    AGENT_NAME_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    agent_name: str
    agent_version: str
    def __init__(self, agent_name: _Optional[str] = ..., agent_version: _Optional[str] = ...) -> None: ...

class Reading(_message.Message):
    __slots__ = ("name", "unit", "number", "text", "unavailable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    number: float
    text: str
    unavailable: str
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., number: _Optional[float] = ..., text: _Optional[str] = ..., unavailable: _Optional[str] = ...) -> None: ...

class RuntimeFacts(_message.Message):
    __slots__ = ("name", "package", "version", "formats", "accelerators")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORMATS_FIELD_NUMBER: _ClassVar[int]
    ACCELERATORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    package: str
    version: str
    formats: _containers.RepeatedScalarFieldContainer[str]
    accelerators: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., package: _Optional[str] = ..., version: _Optional[str] = ..., formats: _Optional[_Iterable[str]] = ..., accelerators: _Optional[_Iterable[str]] = ...) -> None: ...

class DeviceFacts(_message.Message):
    __slots__ = ("board", "cpu_model", "architecture", "cores", "cpu_flags", "memory_bytes", "system", "kernel", "python_version", "agent_version", "runtimes", "readings", "disk_free_bytes", "agent_memory_bytes", "clock_unix_ns")
    BOARD_FIELD_NUMBER: _ClassVar[int]
    CPU_MODEL_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    CPU_FLAGS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    AGENT_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    board: str
    cpu_model: str
    architecture: str
    cores: int
    cpu_flags: _containers.RepeatedScalarFieldContainer[str]
    memory_bytes: int
    system: str
    kernel: str
    python_version: str
    agent_version: str
    runtimes: _containers.RepeatedCompositeFieldContainer[RuntimeFacts]
    readings: _containers.RepeatedCompositeFieldContainer[Reading]
    disk_free_bytes: int
    agent_memory_bytes: int
    clock_unix_ns: int
    def __init__(self, board: _Optional[str] = ..., cpu_model: _Optional[str] = ..., architecture: _Optional[str] = ..., cores: _Optional[int] = ..., cpu_flags: _Optional[_Iterable[str]] = ..., memory_bytes: _Optional[int] = ..., system: _Optional[str] = ..., kernel: _Optional[str] = ..., python_version: _Optional[str] = ..., agent_version: _Optional[str] = ..., runtimes: _Optional[_Iterable[_Union[RuntimeFacts, _Mapping]]] = ..., readings: _Optional[_Iterable[_Union[Reading, _Mapping]]] = ..., disk_free_bytes: _Optional[int] = ..., agent_memory_bytes: _Optional[int] = ..., clock_unix_ns: _Optional[int] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("facts",)
    FACTS_FIELD_NUMBER: _ClassVar[int]
    facts: DeviceFacts
    def __init__(self, facts: _Optional[_Union[DeviceFacts, _Mapping]] = ...) -> None: ...

class QueryArtifactRequest(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    def __init__(self, sha256: _Optional[str] = ...) -> None: ...

class QueryArtifactResponse(_message.Message):
    __slots__ = ("complete", "received_bytes")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    received_bytes: int
    def __init__(self, complete: bool = ..., received_bytes: _Optional[int] = ...) -> None: ...

class PushHeader(_message.Message):
    __slots__ = ("sha256", "size_bytes", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size_bytes: int
    offset: int
    def __init__(self, sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class PushArtifactRequest(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: PushHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[PushHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class PushArtifactResponse(_message.Message):
    __slots__ = ("size_bytes",)
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    def __init__(self, size_bytes: _Optional[int] = ...) -> None: ...

class FetchArtifactRequest(_message.Message):
    __slots__ = ("sha256", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    offset: int
    def __init__(self, sha256: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class FetchArtifactResponse(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: PushHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[PushHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class RemoveArtifactRequest(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    def __init__(self, sha256: _Optional[str] = ...) -> None: ...

class RemoveArtifactResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: bool
    def __init__(self, removed: bool = ...) -> None: ...

class Deployment(_message.Message):
    __slots__ = ("slot", "sha256", "label", "previous_sha256", "runtime", "threads", "format", "deployed_unix_ns", "history")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SHA256_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DEPLOYED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    slot: str
    sha256: str
    label: str
    previous_sha256: str
    runtime: str
    threads: int
    format: str
    deployed_unix_ns: int
    history: _containers.RepeatedCompositeFieldContainer[SlotChange]
    def __init__(self, slot: _Optional[str] = ..., sha256: _Optional[str] = ..., label: _Optional[str] = ..., previous_sha256: _Optional[str] = ..., runtime: _Optional[str] = ..., threads: _Optional[int] = ..., format: _Optional[str] = ..., deployed_unix_ns: _Optional[int] = ..., history: _Optional[_Iterable[_Union[SlotChange, _Mapping]]] = ...) -> None: ...

class SlotChange(_message.Message):
    __slots__ = ("how", "label", "sha256", "runtime", "threads", "format", "at_unix_ns")
    HOW_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    how: str
    label: str
    sha256: str
    runtime: str
    threads: int
    format: str
    at_unix_ns: int
    def __init__(self, how: _Optional[str] = ..., label: _Optional[str] = ..., sha256: _Optional[str] = ..., runtime: _Optional[str] = ..., threads: _Optional[int] = ..., format: _Optional[str] = ..., at_unix_ns: _Optional[int] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("slot", "candidate")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    slot: str
    candidate: Candidate
    def __init__(self, slot: _Optional[str] = ..., candidate: _Optional[_Union[Candidate, _Mapping]] = ...) -> None: ...

class DeployResponse(_message.Message):
    __slots__ = ("deployment", "load_ns", "first_inference_ns")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    LOAD_NS_FIELD_NUMBER: _ClassVar[int]
    FIRST_INFERENCE_NS_FIELD_NUMBER: _ClassVar[int]
    deployment: Deployment
    load_ns: int
    first_inference_ns: int
    def __init__(self, deployment: _Optional[_Union[Deployment, _Mapping]] = ..., load_ns: _Optional[int] = ..., first_inference_ns: _Optional[int] = ...) -> None: ...

class ListDeploymentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDeploymentsResponse(_message.Message):
    __slots__ = ("deployments",)
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    deployments: _containers.RepeatedCompositeFieldContainer[Deployment]
    def __init__(self, deployments: _Optional[_Iterable[_Union[Deployment, _Mapping]]] = ...) -> None: ...

class DeployGoals(_message.Message):
    __slots__ = ("golden", "expected_sha256", "classes", "labels", "max_latency_ms", "max_drop")
    GOLDEN_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SHA256_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_DROP_FIELD_NUMBER: _ClassVar[int]
    golden: InputSet
    expected_sha256: str
    classes: bool
    labels: _containers.RepeatedScalarFieldContainer[int]
    max_latency_ms: float
    max_drop: float
    def __init__(self, golden: _Optional[_Union[InputSet, _Mapping]] = ..., expected_sha256: _Optional[str] = ..., classes: bool = ..., labels: _Optional[_Iterable[int]] = ..., max_latency_ms: _Optional[float] = ..., max_drop: _Optional[float] = ...) -> None: ...

class DeployChecks(_message.Message):
    __slots__ = ("samples", "p50_ns", "p90_ns", "count", "sqnr_db", "agreement", "drop")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    P50_NS_FIELD_NUMBER: _ClassVar[int]
    P90_NS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SQNR_DB_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    samples: int
    p50_ns: int
    p90_ns: int
    count: int
    sqnr_db: float
    agreement: float
    drop: float
    def __init__(self, samples: _Optional[int] = ..., p50_ns: _Optional[int] = ..., p90_ns: _Optional[int] = ..., count: _Optional[int] = ..., sqnr_db: _Optional[float] = ..., agreement: _Optional[float] = ..., drop: _Optional[float] = ...) -> None: ...

class DeployCheckedRequest(_message.Message):
    __slots__ = ("slot", "candidate", "goals")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    GOALS_FIELD_NUMBER: _ClassVar[int]
    slot: str
    candidate: Candidate
    goals: DeployGoals
    def __init__(self, slot: _Optional[str] = ..., candidate: _Optional[_Union[Candidate, _Mapping]] = ..., goals: _Optional[_Union[DeployGoals, _Mapping]] = ...) -> None: ...

class DeployCheckedResponse(_message.Message):
    __slots__ = ("deployment", "checks")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    deployment: Deployment
    checks: DeployChecks
    def __init__(self, deployment: _Optional[_Union[Deployment, _Mapping]] = ..., checks: _Optional[_Union[DeployChecks, _Mapping]] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("slot", "active_sha256")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_SHA256_FIELD_NUMBER: _ClassVar[int]
    slot: str
    active_sha256: str
    def __init__(self, slot: _Optional[str] = ..., active_sha256: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("deployment",)
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    deployment: Deployment
    def __init__(self, deployment: _Optional[_Union[Deployment, _Mapping]] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("label", "sha256", "format", "runtime", "threads")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    label: str
    sha256: str
    format: str
    runtime: str
    threads: int
    def __init__(self, label: _Optional[str] = ..., sha256: _Optional[str] = ..., format: _Optional[str] = ..., runtime: _Optional[str] = ..., threads: _Optional[int] = ...) -> None: ...

class Normalization(_message.Message):
    __slots__ = ("mean", "std", "layout")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    mean: _containers.RepeatedScalarFieldContainer[float]
    std: _containers.RepeatedScalarFieldContainer[float]
    layout: str
    def __init__(self, mean: _Optional[_Iterable[float]] = ..., std: _Optional[_Iterable[float]] = ..., layout: _Optional[str] = ...) -> None: ...

class InputSet(_message.Message):
    __slots__ = ("sha256", "normalization")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    normalization: Normalization
    def __init__(self, sha256: _Optional[str] = ..., normalization: _Optional[_Union[Normalization, _Mapping]] = ...) -> None: ...

class BenchmarkPlan(_message.Message):
    __slots__ = ("processes", "blocks", "block_seconds", "max_seconds", "warmup_seconds", "seed")
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WARMUP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    processes: int
    blocks: int
    block_seconds: float
    max_seconds: float
    warmup_seconds: float
    seed: int
    def __init__(self, processes: _Optional[int] = ..., blocks: _Optional[int] = ..., block_seconds: _Optional[float] = ..., max_seconds: _Optional[float] = ..., warmup_seconds: _Optional[float] = ..., seed: _Optional[int] = ...) -> None: ...

class StartBenchmarkRequest(_message.Message):
    __slots__ = ("request_id", "candidates", "golden", "plan")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    golden: InputSet
    plan: BenchmarkPlan
    def __init__(self, request_id: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., golden: _Optional[_Union[InputSet, _Mapping]] = ..., plan: _Optional[_Union[BenchmarkPlan, _Mapping]] = ...) -> None: ...

class StartEvaluationRequest(_message.Message):
    __slots__ = ("request_id", "candidate", "inputs")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    candidate: Candidate
    inputs: InputSet
    def __init__(self, request_id: _Optional[str] = ..., candidate: _Optional[_Union[Candidate, _Mapping]] = ..., inputs: _Optional[_Union[InputSet, _Mapping]] = ...) -> None: ...

class StartJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "kind", "state", "queue_position", "created_unix_ns")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    state: str
    queue_position: int
    created_unix_ns: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., state: _Optional[str] = ..., queue_position: _Optional[int] = ..., created_unix_ns: _Optional[int] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "after_sequence")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_sequence: int
    def __init__(self, job_id: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class StopJobRequest(_message.Message):
    __slots__ = ("job_id", "keep_result")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    KEEP_RESULT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    keep_result: bool
    def __init__(self, job_id: _Optional[str] = ..., keep_result: bool = ...) -> None: ...

class StopJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("sequence", "progress", "loaded", "block", "telemetry", "outputs", "overhead", "worker_closed", "ended")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_FIELD_NUMBER: _ClassVar[int]
    WORKER_CLOSED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    progress: Progress
    loaded: Loaded
    block: Block
    telemetry: Telemetry
    outputs: Outputs
    overhead: Overhead
    worker_closed: WorkerClosed
    ended: Ended
    def __init__(self, sequence: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., loaded: _Optional[_Union[Loaded, _Mapping]] = ..., block: _Optional[_Union[Block, _Mapping]] = ..., telemetry: _Optional[_Union[Telemetry, _Mapping]] = ..., outputs: _Optional[_Union[Outputs, _Mapping]] = ..., overhead: _Optional[_Union[Overhead, _Mapping]] = ..., worker_closed: _Optional[_Union[WorkerClosed, _Mapping]] = ..., ended: _Optional[_Union[Ended, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("text", "done", "total")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    text: str
    done: int
    total: int
    def __init__(self, text: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class TensorSpec(_message.Message):
    __slots__ = ("name", "shape", "dtype")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[str]
    dtype: str
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[str]] = ..., dtype: _Optional[str] = ...) -> None: ...

class Loaded(_message.Message):
    __slots__ = ("label", "process", "spawn_ns", "load_ns", "first_inference_ns", "runtime_version", "accelerator", "cpus", "inputs", "outputs")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    SPAWN_NS_FIELD_NUMBER: _ClassVar[int]
    LOAD_NS_FIELD_NUMBER: _ClassVar[int]
    FIRST_INFERENCE_NS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_VERSION_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    label: str
    process: int
    spawn_ns: int
    load_ns: int
    first_inference_ns: int
    runtime_version: str
    accelerator: str
    cpus: _containers.RepeatedScalarFieldContainer[int]
    inputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    outputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    def __init__(self, label: _Optional[str] = ..., process: _Optional[int] = ..., spawn_ns: _Optional[int] = ..., load_ns: _Optional[int] = ..., first_inference_ns: _Optional[int] = ..., runtime_version: _Optional[str] = ..., accelerator: _Optional[str] = ..., cpus: _Optional[_Iterable[int]] = ..., inputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("label", "process", "index", "warmup", "samples_ns", "started_ns", "cpu_ns", "involuntary_switches")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WARMUP_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_NS_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    CPU_NS_FIELD_NUMBER: _ClassVar[int]
    INVOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    label: str
    process: int
    index: int
    warmup: bool
    samples_ns: _containers.RepeatedScalarFieldContainer[int]
    started_ns: int
    cpu_ns: int
    involuntary_switches: int
    def __init__(self, label: _Optional[str] = ..., process: _Optional[int] = ..., index: _Optional[int] = ..., warmup: bool = ..., samples_ns: _Optional[_Iterable[int]] = ..., started_ns: _Optional[int] = ..., cpu_ns: _Optional[int] = ..., involuntary_switches: _Optional[int] = ...) -> None: ...

class Telemetry(_message.Message):
    __slots__ = ("at_ns", "readings")
    AT_NS_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    at_ns: int
    readings: _containers.RepeatedCompositeFieldContainer[Reading]
    def __init__(self, at_ns: _Optional[int] = ..., readings: _Optional[_Iterable[_Union[Reading, _Mapping]]] = ...) -> None: ...

class Outputs(_message.Message):
    __slots__ = ("label", "sha256")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    label: str
    sha256: str
    def __init__(self, label: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class Overhead(_message.Message):
    __slots__ = ("samples_ns", "timer_resolution_ns")
    SAMPLES_NS_FIELD_NUMBER: _ClassVar[int]
    TIMER_RESOLUTION_NS_FIELD_NUMBER: _ClassVar[int]
    samples_ns: _containers.RepeatedScalarFieldContainer[int]
    timer_resolution_ns: int
    def __init__(self, samples_ns: _Optional[_Iterable[int]] = ..., timer_resolution_ns: _Optional[int] = ...) -> None: ...

class WorkerClosed(_message.Message):
    __slots__ = ("label", "process", "peak_memory_bytes")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    label: str
    process: int
    peak_memory_bytes: int
    def __init__(self, label: _Optional[str] = ..., process: _Optional[int] = ..., peak_memory_bytes: _Optional[int] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("state", "error_code", "error_message", "error_hint")
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_HINT_FIELD_NUMBER: _ClassVar[int]
    state: str
    error_code: str
    error_message: str
    error_hint: str
    def __init__(self, state: _Optional[str] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., error_hint: _Optional[str] = ...) -> None: ...

class RevokeControllerRequest(_message.Message):
    __slots__ = ("fingerprint",)
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    def __init__(self, fingerprint: _Optional[str] = ...) -> None: ...

class RevokeControllerResponse(_message.Message):
    __slots__ = ("revoked",)
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    revoked: bool
    def __init__(self, revoked: bool = ...) -> None: ...
