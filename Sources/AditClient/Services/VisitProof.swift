// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditWire

/// What the visitor's end of a service says first, and what it has to hear before it goes on.
///
/// Where there is a secret, both ends prove it on the connection, and nothing of the visitor's is sent before the other end has:
/// whoever put themselves in the place of the device gets nothing but a proof that is good nowhere else.
struct VisitProof {
    let order: VisitOrder
    /// The fingerprint of this end's key.
    let ownKey: KeyFingerprint?

    /// Whether the other end has to prove the secret before anything is sent.
    var isMutual: Bool { !order.secret.isEmpty }

    /// The request of a stream on a connection; nil when it cannot be made.
    func request(_ kind: ServiceKind, to peer: ServicePeer) -> ServiceRequest? {
        var code: [UInt8] = []
        if isMutual {
            guard let proof = proof(on: peer) else { return nil }
            code = proof.bytes(secret: order.secret, kind: kind.rawValue, name: order.place.service)
        }
        return try? ServiceRequest(kind: kind, name: order.place.service, proof: code)
    }

    /// Whether payload may pass after an answer.
    func accepts(_ answer: ServiceAnswer?, _ kind: ServiceKind, from peer: ServicePeer) -> Bool {
        guard isMutual else { return answer?.isYes ?? false }
        guard case .proven(let code) = answer, let proof = proof(on: peer) else { return false }
        return proof.accepts(answer: code, secret: order.secret, kind: kind.rawValue, name: order.place.service)
    }

    /// What people are told of an answer after which nothing passes.
    func problem(_ answer: ServiceAnswer?, _ kind: ServiceKind) -> AditError {
        answer?.isYes == true
            ? ServiceProblem.unproven(order.place) : ServiceProblem.answered(answer, order.place, kind: kind)
    }

    private func proof(on peer: ServicePeer) -> ServiceProof? {
        guard let ownKey, let material = peer.connection.exportKeyingMaterial(label: ServiceProof.exporterLabel) else {
            return nil
        }
        return ServiceProof(keyingMaterial: material, visitor: ownKey)
    }
}
