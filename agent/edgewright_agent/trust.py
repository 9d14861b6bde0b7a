"""Who is calling: which certificates the handshake accepts, and what their holders may do."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Protocol

import grpc

from edgewright_agent.controllers import ControllerStore
from edgewright_agent.pairing_window import PairingWindow, Window
from edgewright_agent.state import StateFolder
from edgewright_contract import certificates
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import PairedController

PAIRING_SERVICE, AGENT_SERVICE = "edgewright.v1.Pairing", "edgewright.v1.Agent"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peer:
    """Who calls: `service` is the one this peer may use."""

    service: str
    fingerprint: str
    name: str


class CertificateMaker(Protocol):
    def canonical_certificate(self, cert_pem: bytes) -> bytes: ...


def refused(message: str) -> EdgewrightError:
    hint = "print a new pairing code on the device with `edgewright-agent pair`, then pair with it"
    return EdgewrightError(ErrorCode.DEVICE_NOT_PAIRED, message, hint)


def _used(window: Window) -> str:
    """What a controller's record says about the window that it came through."""
    return f"window {window.id}"


class Trust:
    """Reads the state folder again whenever it changed, so other processes can pair and revoke."""

    def __init__(
        self,
        identity: tuple[bytes, bytes],
        state: StateFolder,
        keys: CertificateMaker,
    ) -> None:
        self._key, self.certificate = identity
        self._controllers = ControllerStore(state.controllers)
        self._window = PairingWindow(state.pairing)
        self._keys = keys
        self._lock = threading.Lock()
        self._close_used_window()

    def _close_used_window(self) -> None:
        """A code is good for one controller, even where we were killed after pinning it and before closing."""
        window = self._window.current()
        if window is not None and any(one.note == _used(window) for one in self._controllers.list()):
            self._window.close()

    def credentials(self) -> grpc.ServerCredentials:
        """Mutual TLS; every handshake asks for the certificates trusted at that moment."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, require_client_authentication=True
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        # Our own certificate comes first: gRPC wants at least one root, and nobody else has its key.
        roots = [self.certificate]
        roots += [controller.certificate.encode("ascii") for controller in self._controllers.list()]
        window = self._window.current()
        if window is not None:
            roots.append(window.root.encode("ascii"))
        return grpc.ssl_server_certificate_configuration([(self._key, self.certificate)], b"\n".join(roots))

    def peer(self, context: grpc.ServicerContext) -> Peer:
        """Who is behind a call, asked anew for each: a revoked controller's open connection is worth nothing.

        Raises DEVICE_NOT_PAIRED.
        """
        shown = context.auth_context().get("x509_pem_cert")
        if not shown:
            raise refused("the call came without a certificate")
        fingerprint = certificates.fingerprint(shown[0])
        controller = self._controllers.get(fingerprint)
        if controller is not None:
            return Peer(AGENT_SERVICE, fingerprint, controller.name)
        window = self._window.current()
        if window is not None and certificates.public_key_der(shown[0]) == certificates.public_key_der(
            window.root.encode("ascii")
        ):
            return Peer(PAIRING_SERVICE, fingerprint, "pairing")
        raise refused("this agent does not trust the caller's certificate (any more)")

    def pair(self, peer: Peer, name: str, certificate: bytes) -> PairedController:
        """Pin a controller and close the window: a code is good for one."""
        with self._lock:
            window = self._window.current()
            if window is None:
                raise refused("the pairing code is used or has expired")
            try:
                canonical = self._keys.canonical_certificate(certificate)
            except EdgewrightError:
                self._window.count_refusal()
                raise
            controller = PairedController(
                name=name,
                fingerprint=certificates.fingerprint(canonical),
                certificate=canonical.decode("ascii"),
                paired_unix_ns=time.time_ns(),
                note=_used(window),
            )
            self._controllers.add(controller)
            self._window.close()
        logger.info("paired with %s (%s), asked by %s", name, controller.fingerprint[:16], peer.fingerprint[:16])
        return controller

    def revoke(self, fingerprint: str) -> bool:
        return self._controllers.remove(fingerprint)


class Loopback:
    """What stands for Trust with --insecure: everybody on this machine may do everything but pair."""

    def peer(self, _: grpc.ServicerContext) -> Peer:
        return Peer(AGENT_SERVICE, "loopback", "loopback")
