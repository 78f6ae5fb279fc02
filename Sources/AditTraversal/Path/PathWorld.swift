// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What all searches for a path of one process share, as each of them sees it.
struct PathWorld: Sendable, Equatable {
    /// A candidate and what its packets leave from.
    struct Candidate: Sendable, Equatable {
        var candidate: ICECandidate
        var base: ICEBaseID
    }

    var policy: PathPolicy
    var tactics: Set<PathTactic>
    var isQuiet: Bool
    var timing: PathTiming
    /// What was gathered so far.
    var candidates: [Candidate] = []
    /// What still works and is told no more, since something else takes its place.
    var leaving: Set<ICEBaseID> = []
    /// Whether that is all.
    var isComplete = false
    /// What is known of the NAT in front of this machine.
    var nat = PathNAT.unknown
    /// The own addresses, those that servers saw included.
    var addresses: [IPAddress] = []
    /// The server's addresses.
    var serverAddresses: [IPAddress] = []
    /// STUN servers of the family of `main`, which are asked by fresh sockets.
    var stun: [IPEndpoint] = []
    /// STUN servers over TCP, of the same family.
    var stunTCP: [IPEndpoint] = []
    /// The shared UDP socket of the default route, and where it is bound.
    var main: ICEBaseID?
    /// The address of that socket; fresh sockets are bound to it too.
    var address: IPAddress?
    /// A time to live with which packets leave the own network and die before the peer's.
    var openerTimeToLive: UInt8 = 2
    /// Whether the NAT is known to answer in the place of its users, so that early packets spoil a mapping.
    var needsOpeners = false
    /// Whether no server has answered over UDP for a while.
    var isUDPSuspect = false
    /// Why there is no relay; nil when there is one, or may yet be.
    var relayLack: Lack?

    /// Why there is no relay on this side.
    enum Lack: Sendable {
        case notOffered
        case silent
    }

    /// As what the server sees the main socket; nil while that is not known.
    var reflexive: IPEndpoint? {
        candidates.first { $0.candidate.type == .serverReflexive && $0.base == main && !$0.candidate.isPortMapped }?
            .candidate.endpoint
    }
}
