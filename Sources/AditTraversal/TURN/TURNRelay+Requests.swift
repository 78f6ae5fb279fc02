// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// A request of a client and what its attributes say, each the first of its kind.
struct TURNRequest {
    let message: STUNMessage
    let client: TURNClientTuple
    /// How long the request was.
    let byteCount: Int
    var username: String?
    var realm: String?
    var nonce: String?
    var integrity: STUNIntegrity?
    var algorithm: STUNPasswordAlgorithm?
    var algorithms: [STUNPasswordAlgorithm]?
    var transport: UInt8?
    var lifetime: UInt32?
    var family: STUNAddressFamily?
    var additionalFamily: STUNAddressFamily?
    var evenPort: Bool?
    var token: UInt64?
    var dontFragment = false
    var channel: UInt16?
    var peers: [IPEndpoint] = []

    init(_ message: STUNMessage, from client: TURNClientTuple, byteCount: Int = 0) {
        self.message = message
        self.client = client
        self.byteCount = byteCount
        for attribute in message.attributes {
            switch attribute {
            case .username(let value): username = value
            case .realm(let value): realm = value
            case .nonce(let value): nonce = value
            case .messageIntegrity: integrity = integrity ?? .sha1
            case .messageIntegritySHA256: integrity = .sha256
            case .passwordAlgorithm(let value): algorithm = value
            case .passwordAlgorithms(let value): algorithms = value
            case .requestedTransport(let value): transport = value
            case .lifetime(let value): lifetime = value
            case .requestedAddressFamily(let value): family = value
            case .additionalAddressFamily(let value): additionalFamily = value
            case .evenPort(let value): evenPort = value
            case .reservationToken(let value): token = value
            case .dontFragment: dontFragment = true
            case .channelNumber(let value): channel = value
            case .xorPeerAddress(let value): peers.append(value)
            default: break
            }
        }
    }
}

/// The errors of RFC 8656 section 19 and RFC 8489 section 14.8 that the relay gives.
enum TURNError: Int {
    case badRequest = 400
    case unauthenticated = 401
    case forbidden = 403
    case unknownAttribute = 420
    case allocationMismatch = 437
    case staleNonce = 438
    case addressFamilyNotSupported = 440
    case wrongCredentials = 441
    case unsupportedTransport = 442
    case peerAddressFamilyMismatch = 443
    case allocationQuotaReached = 486
    case insufficientCapacity = 508

    var reason: String {
        switch self {
        case .badRequest: "Bad Request"
        case .unauthenticated: "Unauthenticated"
        case .forbidden: "Forbidden"
        case .unknownAttribute: "Unknown Attribute"
        case .allocationMismatch: "Allocation Mismatch"
        case .staleNonce: "Stale Nonce"
        case .addressFamilyNotSupported: "Address Family not Supported"
        case .wrongCredentials: "Wrong Credentials"
        case .unsupportedTransport: "Unsupported Transport Protocol"
        case .peerAddressFamilyMismatch: "Peer Address Family Mismatch"
        case .allocationQuotaReached: "Allocation Quota Reached"
        case .insufficientCapacity: "Insufficient Capacity"
        }
    }
}

extension TURNRelay {
    static let algorithms: [STUNPasswordAlgorithm] = [.sha256, .md5]

    /// Who sent a request; nil when it was refused, and answered (RFC 8489 section 9.2.4).
    mutating func authenticate(_ request: TURNRequest, _ bytes: RawSpan, at now: Instant) -> TURNCaller? {
        guard let integrity = request.integrity else { return challenge(request, .unauthenticated, at: now) }
        guard let username = request.username, let realm = request.realm, let nonce = request.nonce,
            let algorithm = Self.algorithm(of: request)
        else { return challenge(request, .badRequest, at: now) }
        let seconds = unixSeconds(at: now)
        guard nonces.accepts(nonce, from: request.client, username: username, unixSeconds: seconds) else {
            return challenge(request, .staleNonce, at: now)
        }
        guard realm == configuration.realm, let covered = try? STUNMessage.covered(by: integrity, in: bytes) else {
            counters.unauthorized += 1
            return challenge(request, .unauthenticated, at: now)
        }
        for (device, key) in candidates(username, algorithm, request.client, at: now) {
            let isRight =
                switch integrity {
                case .sha1: key.acceptsSHA1(code: covered.code, of: covered.bytes)
                case .sha256: key.acceptsSHA256(code: covered.code, of: covered.bytes)
                }
            guard isRight else { continue }
            return TURNCaller(
                username: username,
                device: device,
                key: key,
                algorithm: algorithm,
                integrity: integrity
            )
        }
        counters.unauthorized += 1
        return challenge(request, .unauthenticated, at: now)
    }

    /// The keys that a user may have.
    private func candidates(
        _ username: String,
        _ algorithm: STUNIntegrityKey.Algorithm,
        _ client: TURNClientTuple,
        at now: Instant
    ) -> [(device: String, key: STUNIntegrityKey)] {
        // An allocation outlives the expiry of the credential that made it, as long as it is refreshed.
        if let place = byClient[client] {
            let caller = allocations[Int(place)].caller
            if caller.username == username, caller.algorithm == algorithm { return [(caller.device, caller.key)] }
        }
        let key = { (password: String) in
            STUNIntegrityKey(
                username: username,
                realm: configuration.realm,
                password: password,
                algorithm: algorithm
            )
        }
        if let password = configuration.users[username] { return [(username, key(password))] }
        guard let (expiry, device) = TURNCredentials.parts(of: username), expiry > unixSeconds(at: now) else {
            return []
        }
        return configuration.secrets.prefix(4).map { (device, key($0.password(for: username))) }
    }

    /// Nil for what section 9.2.4 calls a bad request: one of the two attributes, or others than were offered.
    private static func algorithm(of request: TURNRequest) -> STUNIntegrityKey.Algorithm? {
        switch (request.algorithms, request.algorithm) {
        case (nil, nil): return .md5
        case (let offered?, let chosen?):
            guard offered == algorithms else { return nil }
            if chosen == .sha256 { return .sha256 }
            return chosen == .md5 ? .md5 : nil
        default: return nil
        }
    }

    /// Answers with an error that anybody can get: a forged source must not get much of it.
    private mutating func challenge(_ request: TURNRequest, _ error: TURNError, at now: Instant) -> TURNCaller? {
        counters.refused += 1
        var place: (place: Int, credit: Int)?
        if request.client.transport == .udp, limiter != nil {
            place = limiter?.admit(request.client.client.address, at: now)
            guard place != nil else {
                counters.limited += 1
                return nil
            }
        }
        var attributes: [STUNAttribute] = [.errorCode(error.rawValue, reason: error.reason)]
        if error != .badRequest {
            attributes += [
                .realm(configuration.realm),
                .nonce(nonces.make(for: .client(request.client), unixSeconds: unixSeconds(at: now))),
                .passwordAlgorithms(Self.algorithms),
            ]
        }
        let bytes = encoded(.error, request, attributes, caller: nil)
        if let place {
            let more = bytes.count - request.byteCount
            guard more <= place.credit else {
                counters.limited += 1
                return nil
            }
            if more > 0 { limiter?.charge(more, to: place.place, at: now) }
        }
        outputs.append(.toClient(bytes, request.client))
        return nil
    }

    /// Answers a request whose sender is known with success.
    mutating func answer(_ request: TURNRequest, _ attributes: [STUNAttribute], _ caller: TURNCaller) {
        counters.answered += 1
        outputs.append(.toClient(encoded(.success, request, attributes, caller: caller), request.client))
    }

    /// Answers a request whose sender is known with an error.
    mutating func refuse(
        _ request: TURNRequest,
        _ error: TURNError,
        _ caller: TURNCaller,
        _ attributes: [STUNAttribute] = []
    ) {
        counters.refused += 1
        switch error {
        case .allocationQuotaReached, .insufficientCapacity: counters.overQuota += 1
        case .forbidden: counters.forbidden += 1
        default: break
        }
        let all = [.errorCode(error.rawValue, reason: error.reason)] + attributes
        outputs.append(.toClient(encoded(.error, request, all, caller: caller), request.client))
    }

    /// Refuses attributes that have to be understood and are not (RFC 8489 section 6.3.1); true when it did.
    mutating func refuseUnknown(_ request: TURNRequest, _ caller: TURNCaller) -> Bool {
        var types = request.message.unknownRequiredTypes
        if request.dontFragment, !configuration.canForbidFragments { types.append(STUNAttributeType.dontFragment) }
        guard !types.isEmpty else { return false }
        refuse(request, .unknownAttribute, caller, [.unknownAttributes(types)])
        return true
    }

    private func encoded(
        _ kind: STUNKind,
        _ request: TURNRequest,
        _ attributes: [STUNAttribute],
        caller: TURNCaller?
    ) -> [UInt8] {
        var attributes = attributes
        if kind == .success, let software = configuration.software { attributes.append(.software(software)) }
        let message = STUNMessage(
            kind,
            request.message.method,
            transactionID: request.message.transactionID,
            attributes: attributes,
            hasFingerprint: request.message.hasFingerprint
        )
        var bytes: [UInt8] = []
        guard let caller else {
            message.encode(into: &bytes)
            return bytes
        }
        message.encode(into: &bytes, integrity: caller.integrity) { covered in
            switch caller.integrity {
            case .sha1: caller.key.sha1Code(of: covered)
            case .sha256: caller.key.sha256Code(of: covered)
            }
        }
        return bytes
    }
}
