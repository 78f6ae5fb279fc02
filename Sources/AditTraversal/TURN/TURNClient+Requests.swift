// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// A request of a client that is under way.
struct TURNClientRequest: Sendable {
    enum Purpose: Sendable, Hashable {
        case allocate
        case refresh
        /// Refreshes too, and gives up sooner.
        case verify
        /// Gives the allocation back.
        case release
        /// Gives back what an earlier process left on the same 5-tuple, to allocate then.
        case clear
        case permit([IPAddress])
        case bind(IPEndpoint)
    }

    var purpose: Purpose
    var transaction: STUNTransaction
    /// With what it was protected; nil for the first one, which only fetches realm and nonce.
    var key: STUNIntegrityKey?
    /// How often the same was asked before, each time with another key or nonce.
    var attempt: Int
    /// When it was sent first.
    var sentAt: Instant
}

extension TURNClient {
    /// How often a request is repeated with another nonce.
    private static let attemptLimit = 4
    /// Over UDP 5.5 s; over a stream, which repeats by itself, 2.5 s.
    private static let verification = STUNTiming(transmissions: 4, lastWait: 4)
    private static let streamVerification = STUNTiming(transmissions: 1, lastWait: 5)

    /// Sends a request.
    mutating func request(_ purpose: TURNClientRequest.Purpose, attempt: Int = 0, at now: Instant) {
        let key = currentKey()
        var message = STUNMessage(
            .request,
            method(of: purpose),
            transactionID: STUNTransactionID(using: &random),
            attributes: attributes(of: purpose)
        )
        var bytes: [UInt8] = []
        if let key, let realm, let nonce {
            message.attributes += [.username(configuration.username), .realm(realm), .nonce(nonce)]
            if let algorithms {
                message.attributes += [.passwordAlgorithms(algorithms), .passwordAlgorithm(chosen(algorithms))]
            }
            let integrity: STUNIntegrity = algorithms == nil ? .sha1 : .sha256
            message.encode(into: &bytes, integrity: integrity) { covered in
                integrity == .sha1 ? key.sha1Code(of: covered) : key.sha256Code(of: covered)
            }
        } else {
            message.encode(into: &bytes)
        }
        let standard: STUNTiming = configuration.transport == .udp ? .standard : .reliable
        var timing = configuration.timing ?? standard
        if purpose == .release, configuration.transport == .udp { timing = STUNTiming(transmissions: 3, lastWait: 2) }
        if purpose == .verify { timing = configuration.transport == .udp ? Self.verification : Self.streamVerification }
        var transaction = STUNTransaction(message, bytes: bytes, timing: timing, at: now)
        if let first = transaction.nextTransmission(at: now) { outputs.append(.transmit(first)) }
        requests.append(
            TURNClientRequest(purpose: purpose, transaction: transaction, key: key, attempt: attempt, sentAt: now)
        )
    }

    private func method(of purpose: TURNClientRequest.Purpose) -> STUNMethod {
        switch purpose {
        case .allocate: .allocate
        case .refresh, .verify, .release, .clear: .refresh
        case .permit: .createPermission
        case .bind: .channelBind
        }
    }

    private func attributes(of purpose: TURNClientRequest.Purpose) -> [STUNAttribute] {
        switch purpose {
        case .allocate:
            var attributes: [STUNAttribute] = [.requestedTransport(17), .lifetime(configuration.lifetime)]
            if let family = configuration.family { attributes.append(.requestedAddressFamily(family)) }
            // Over UDP a server does not owe a stranger more than it got.
            if key == nil { attributes.append(.other(type: STUNAttributeType.fill, Array(repeating: 0, count: 96))) }
            return attributes
        case .refresh, .verify: return [.lifetime(configuration.lifetime)]
        case .release, .clear: return [.lifetime(0)]
        case .permit(let addresses): return addresses.map { .xorPeerAddress(IPEndpoint($0, 0)) }
        case .bind(let peer): return [.channelNumber(channels[peer]?.number ?? 0), .xorPeerAddress(peer)]
        }
    }

    /// The key for realm and algorithm as they are known; nil before the server has named them.
    private mutating func currentKey() -> STUNIntegrityKey? {
        if let key { return key }
        guard let realm, nonce != nil else { return nil }
        let made = STUNIntegrityKey(
            username: configuration.username,
            realm: realm,
            password: configuration.password,
            algorithm: algorithms.map { chosen($0) } == .sha256 ? .sha256 : .md5
        )
        key = made
        return made
    }

    private func chosen(_ algorithms: [STUNPasswordAlgorithm]) -> STUNPasswordAlgorithm {
        algorithms.contains(.sha256) ? .sha256 : .md5
    }

    /// Takes a message of the server.
    mutating func take(_ bytes: [UInt8], at now: Instant) {
        guard state != .over, state != .idle else { return }
        let span = bytes.span.bytes
        if let (number, payload) = ChannelData.decode(span) {
            if let peer = peers[number] {
                outputs.append(.event(.data(PacketBatch(Array(bytes[payload])), from: peer)))
            }
            return
        }
        guard let message = try? STUNMessage.decode(span), !message.isClassic else { return }
        if message.kind == .indication {
            if message.method == .data { takeIndication(message) }
            return
        }
        guard let index = requests.firstIndex(where: { $0.transaction.transactionID == message.transactionID }),
            isGenuine(message, span, requests[index]),
            let outcome = requests[index].transaction.handle(span, at: now)
        else { return }
        let request = requests.remove(at: index)
        switch outcome {
        case .success(let message, _): succeed(request, message, at: now)
        case .refused(let number, let reason):
            if challenged(request, number, message, at: now) { return }
            fail(request, Self.failure(number, reason), at: now)
        case .tryAlternate(let server, _): redirect(request, server, at: now)
        case .notUnderstood: fail(request, .malformed, at: now)
        case .timedOut: fail(request, .timedOut, at: now)
        }
    }

    /// Whether a response is from the server (RFC 8489 section 9.2.5): success is always protected with the request's key.
    private func isGenuine(_ message: STUNMessage, _ bytes: RawSpan, _ request: TURNClientRequest) -> Bool {
        guard let key = request.key else { return message.kind == .error }
        if let covered = try? STUNMessage.covered(by: .sha256, in: bytes) {
            return key.acceptsSHA256(code: covered.code, of: covered.bytes)
        }
        if let covered = try? STUNMessage.covered(by: .sha1, in: bytes) {
            return key.acceptsSHA1(code: covered.code, of: covered.bytes)
        }
        return message.kind == .error
    }

    /// Asks again when the server named realm or nonce; false when that would not help.
    private mutating func challenged(
        _ request: TURNClientRequest,
        _ number: Int,
        _ message: STUNMessage,
        at now: Instant
    ) -> Bool {
        guard number == 401 || number == 438, request.attempt < Self.attemptLimit else { return false }
        var realm: String?
        var nonce: String?
        var algorithms: [STUNPasswordAlgorithm]?
        for attribute in message.attributes {
            switch attribute {
            case .realm(let value): realm = value
            case .nonce(let value): nonce = value
            case .passwordAlgorithms(let value): algorithms = value
            default: break
            }
        }
        guard let nonce, let realm = realm ?? self.realm else { return false }
        let isNew = realm != self.realm || algorithms != self.algorithms
        // 401 for a key that was right for this realm: the user or the password is wrong.
        if number == 401, request.key != nil, !isNew { return false }
        // Who took the list away wants a weaker key to be used (RFC 8489 section 9.2.1).
        if algorithms == nil, nonce.hasPrefix(TURNNonce.cookie) { return false }
        if isNew { key = nil }
        self.realm = realm
        self.nonce = nonce
        self.algorithms = algorithms
        self.request(request.purpose, attempt: request.attempt + 1, at: now)
        return true
    }

    private mutating func succeed(_ request: TURNClientRequest, _ message: STUNMessage, at now: Instant) {
        var lifetime: UInt32?
        var relayed: IPEndpoint?
        for attribute in message.attributes {
            switch attribute {
            case .lifetime(let value): lifetime = value
            case .xorRelayedAddress(let value): relayed = relayed ?? value
            default: break
            }
        }
        switch request.purpose {
        case .allocate:
            guard let relayed, let mapped = message.mappedEndpoint, let lifetime, lifetime > 0 else {
                return end(.malformed)
            }
            state = .allocated
            self.relayed = relayed
            self.mapped = mapped
            scheduleRefresh(lifetime, at: now)
            outputs.append(.event(.allocated(relayed: relayed, mapped: mapped)))
            upkeep(at: now)
        case .refresh, .verify: scheduleRefresh(lifetime ?? configuration.lifetime, at: now)
        case .release: finish(.released)
        case .clear: self.request(.allocate, at: now)
        case .permit(let addresses): permitted(addresses, at: now)
        case .bind(let peer): bound(peer, at: now)
        }
    }

    private mutating func scheduleRefresh(_ lifetime: UInt32, at now: Instant) {
        let whole = Duration.seconds(Int64(lifetime))
        expiry = now + whole
        refreshAt = now + (whole > Self.margin * 2 ? whole - Self.margin : whole / 2)
    }

    /// Acts on a request that came to nothing.
    mutating func fail(_ request: TURNClientRequest, _ failure: TURNFailure, at now: Instant) {
        switch request.purpose {
        case .allocate:
            // RFC 8656 section 7.4 would have another port; what is left of an earlier run with the same user can be freed.
            guard failure == .mismatch, !hasCleared else { return end(failure) }
            hasCleared = true
            self.request(.clear, at: now)
        case .clear: failure == .mismatch ? self.request(.allocate, at: now) : end(.mismatch)
        case .refresh:
            if failure == .timedOut, let expiry, now < expiry { return self.request(.refresh, at: now) }
            end(failure)
        case .verify:
            // Where much waits to be sent the answer is late; what came meanwhile says as much.
            if failure == .timedOut, let heardAt, heardAt > request.sentAt { return }
            end(failure)
        case .release: finish(.released)
        case .permit(let addresses): notPermitted(addresses, failure, at: now)
        case .bind(let peer): notBound(peer, failure, at: now)
        }
    }

    private mutating func redirect(_ request: TURNClientRequest, _ server: IPEndpoint, at now: Instant) {
        guard request.purpose == .allocate, redirections < Self.redirectionLimit, server != configuration.server,
            STUNAddressFamily(of: server.address) == STUNAddressFamily(of: configuration.server.address)
        else { return fail(request, .refused(300, reason: "Try Alternate"), at: now) }
        redirections += 1
        configuration.server = server
        state = .idle
        nonce = nil
        key = nil
        hasCleared = false
        requests = []
        outputs.append(.event(.redirected(server)))
    }

    private static func failure(_ number: Int, _ reason: String) -> TURNFailure {
        switch number {
        case 401, 441: .unauthorized
        case 403: .forbidden
        case 437: .mismatch
        case 440, 443: .family
        case 486: .quota
        case 508: .capacity
        default: .refused(number, reason: reason)
        }
    }
}
