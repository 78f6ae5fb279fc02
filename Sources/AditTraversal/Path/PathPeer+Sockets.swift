// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

extension PathPeer {
    /// A socket of this peer alone, which is a base of the agent's by the same number.
    struct OwnSocket: Sendable {
        /// What it was opened for.
        enum Use: Sendable, Hashable {
            /// Openers die on their way from it, before it is known to the peer.
            case opener
            /// Shows which ports the NAT gives.
            case sampler
            /// One of many in a search.
            case search(Int)
            /// A socket of a TCP punch that leads nowhere yet.
            case punch(PunchSocketID)
            /// A TCP connection with somebody.
            case stream(PunchSocketID)
        }

        var use: Use
        var local: IPEndpoint?
        var remote: IPEndpoint?
        var frames = PacketFrames()

        /// Whether packets on it stand behind their length.
        var isStream: Bool {
            if case .stream = use { return true }
            return false
        }
    }

    /// Opens a socket; nil when there are too many.
    mutating func open(_ use: OwnSocket.Use, _ kind: SocketKind) -> UInt32? {
        guard sockets.count < Self.socketLimit else { return nil }
        let number = nextSocket
        nextSocket += 1
        sockets[number] = OwnSocket(use: use)
        output(.open(number, kind))
        return number
    }

    /// Closes a socket that is there, and tells the agent.
    mutating func close(_ number: UInt32, isAbrupt: Bool = false, at now: Instant) {
        guard let socket = sockets.removeValue(forKey: number) else { return }
        output(.close(number, isAbrupt: isAbrupt))
        tacticOfBase[ICEBaseID(number)] = nil
        if socket.isStream {
            handleAgent(.streamClosed(base: ICEBaseID(number)), at: now)
        } else if case .punch = socket.use {
            return
        } else {
            handleAgent(.baseLost(ICEBaseID(number)), at: now)
        }
    }

    /// Whether packets to the peer leave from it.
    func isInUse(_ number: UInt32) -> Bool { selected?.base.number == number }

    // MARK: What happened to them

    mutating func socketOpened(_ number: UInt32, local: IPEndpoint, at now: Instant) {
        guard let socket = sockets[number] else { return }
        sockets[number]?.local = local
        switch socket.use {
        case .opener: openerOpened(number, at: now)
        case .sampler: samplerOpened(number, at: now)
        case .search(let index): handleSearch(.opened(index), at: now)
        case .punch(let id): handlePunch(.opened(id, local: local), at: now)
        case .stream: break
        }
    }

    /// A datagram came to a UDP socket of its own.
    mutating func socketReceived(_ number: UInt32, _ bytes: [UInt8], from remote: IPEndpoint, at now: Instant) {
        guard let socket = sockets[number] else { return }
        if STUNMessage.looksLikeSTUN(bytes.span.bytes) {
            switch socket.use {
            case .opener: if openerAnswered(bytes, from: remote, at: now) { return }
            case .sampler: if samplerAnswered(bytes, from: remote, at: now) { return }
            case .search, .punch, .stream: break
            }
            handleAgent(.received(bytes, on: ICEBaseID(number), from: remote), at: now)
        } else if isPayload(on: number, from: remote) {
            heard(on: ICEBaseEndpoint(base: ICEBaseID(number), endpoint: remote), at: now)
            output(.event(.received(PacketBatch(bytes), from: id)))
        }
    }

    /// Whether what is no STUN message is the peer's payload there.
    func isPayload(on number: UInt32, from remote: IPEndpoint) -> Bool {
        validEndpoints.contains(ICEBaseEndpoint(base: ICEBaseID(number), endpoint: remote))
    }

    mutating func socketConnected(_ number: UInt32, local: IPEndpoint, remote: IPEndpoint, at now: Instant) {
        guard case .punch(let id)? = sockets[number]?.use else { return }
        sockets[number]?.local = local
        handlePunch(.connected(id, local: local, remote: remote), at: now)
    }

    /// A listener took a connection: the number that it has from now on; nil when there are too many.
    mutating func socketAccepted(
        by listener: UInt32,
        local: IPEndpoint,
        remote: IPEndpoint
    ) -> UInt32? {
        guard case .punch? = sockets[listener]?.use, tcp != nil, sockets.count < Self.socketLimit else { return nil }
        let number = nextSocket
        nextSocket += 1
        sockets[number] = OwnSocket(
            use: .punch(PunchSocketID(PunchSocketID.acceptedStart + number)),
            local: local,
            remote: remote
        )
        return number
    }

    /// Tells the punch of an accepted connection, once its number is known outside.
    mutating func socketAdopted(_ number: UInt32, by listener: UInt32, at now: Instant) {
        guard let socket = sockets[number], case .punch(let id) = socket.use, let local = socket.local,
            let remote = socket.remote, case .punch(let listenerID)? = sockets[listener]?.use
        else { return }
        handlePunch(.accepted(id, by: listenerID, local: local, remote: remote), at: now)
    }

    /// A connection to the shared listener began with a check for this peer: the number that it has from now on; nil when there
    /// are too many.
    mutating func guestAccepted(local: IPEndpoint, remote: IPEndpoint) -> UInt32? {
        guard policy != .relayOnly, sockets.count < Self.socketLimit,
            sockets.values.count(where: \.isStream) < Self.streamLimit
        else { return nil }
        let number = nextSocket
        nextSocket += 1
        let id = PunchSocketID(PunchSocketID.acceptedStart + number)
        sockets[number] = OwnSocket(use: .stream(id), local: local, remote: remote)
        return number
    }

    /// Tells the agent of such a connection, once its number is known outside.
    mutating func guestAdopted(_ number: UInt32, _ bytes: [UInt8], at now: Instant) {
        guard let socket = sockets[number], let local = socket.local, let remote = socket.remote else { return }
        handleAgent(.streamOpened(base: ICEBaseID(number), local: local, remote: remote), at: now)
        socketBytes(number, bytes, at: now)
    }

    /// Bytes came on a TCP connection.
    mutating func socketBytes(_ number: UInt32, _ bytes: [UInt8], at now: Instant) {
        guard let socket = sockets[number] else { return }
        guard case .stream = socket.use, let remote = socket.remote else {
            if case .punch(let id) = socket.use { handlePunch(.bytes(id, bytes), at: now) }
            return
        }
        for batch in sockets[number]?.frames.take(bytes.span.bytes) ?? [] {
            if STUNMessage.looksLikeSTUN(batch.bytes.span.bytes) {
                handleAgent(.received(batch.bytes, on: ICEBaseID(number), from: remote), at: now)
            } else if isPayload(on: number, from: remote) {
                heard(on: ICEBaseEndpoint(base: ICEBaseID(number), endpoint: remote), at: now)
                output(.event(.received(batch, from: id)))
            }
        }
    }

    mutating func socketClosed(_ number: UInt32, _ end: SocketEnd, at now: Instant) {
        guard let socket = sockets.removeValue(forKey: number) else { return }
        tacticOfBase[ICEBaseID(number)] = nil
        switch socket.use {
        case .opener:
            openerFailed(at: now)
            handleAgent(.baseLost(ICEBaseID(number)), at: now)
        case .sampler: samplerFailed(at: now)
        case .search(let index):
            handleSearch(.notOpened(index), at: now)
            handleAgent(.baseLost(ICEBaseID(number)), at: now)
        case .punch(let id): handlePunch(.closed(id, end), at: now)
        case .stream(let id):
            handleAgent(.streamClosed(base: ICEBaseID(number)), at: now)
            handlePunch(.closed(id, end), at: now)
        }
    }

    /// Closes what no path needs any longer.
    mutating func closeIdleSockets(at now: Instant) {
        guard isDirect else { return }
        for (number, socket) in sockets.sorted(by: { $0.key < $1.key }) where !isInUse(number) {
            switch socket.use {
            case .stream, .opener: close(number, at: now)
            case .sampler, .search, .punch: break
            }
        }
        stopTactics(at: now)
    }
}

/// A base and an endpoint from which payload may come.
struct ICEBaseEndpoint: Hashable, Sendable {
    var base: ICEBaseID
    var endpoint: IPEndpoint
}
