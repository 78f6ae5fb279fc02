// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Looks at pages of the web whose answers are known, and whether connections to the ports of the web come to be at all.
struct WebDiscovery: Sendable {
    private static let limit = 4

    private let checks: [NATDiscovery.Configuration.WebCheck]
    private var requests: [SocketID: Int] = [:]
    private var connections: Set<SocketID> = []
    private(set) var isReachable = false
    private(set) var hasExpectedPage = false
    private(set) var portal: CaptivePortal?

    init(_ configuration: NATDiscovery.Configuration) {
        checks = Array(configuration.webChecks.prefix(Self.limit))
    }

    /// Whether any page was to be looked at.
    var wasAsked: Bool { !checks.isEmpty }

    var isDone: Bool { requests.isEmpty && connections.isEmpty }

    mutating func start(_ configuration: NATDiscovery.Configuration, _ sockets: inout ProbeSockets) {
        for (number, check) in checks.enumerated() {
            let id = sockets.newID()
            requests[id] = number
            let request = SocketRequest("GET", to: check.endpoint, host: check.host, path: check.path)
            sockets.put(.request(id, request))
        }
        for endpoint in configuration.webEndpoints.prefix(Self.limit) {
            let local: IPAddress? =
                AddressFamily(endpoint.address) == .v4
                ? configuration.network.address : configuration.network.addressV6
            guard let local else { continue }
            let id = sockets.newID()
            connections.insert(id)
            sockets.put(.open(id, .tcp(local: IPEndpoint(local, 0), remote: endpoint)))
        }
    }

    func owns(_ id: SocketID) -> Bool { requests[id] != nil || connections.contains(id) }

    mutating func connected(_ id: SocketID, _ sockets: inout ProbeSockets) {
        guard connections.remove(id) != nil else { return }
        isReachable = true
        sockets.put(.close(id, isAbrupt: true))
    }

    mutating func answered(_ id: SocketID, _ response: SocketResponse) {
        guard let number = requests.removeValue(forKey: id) else { return }
        let check = checks[number]
        isReachable = true
        let isRight = response.status == check.status && check.body.map { $0 == response.body } ?? true
        if isRight || check.serverField.map({ response.field($0) != nil }) ?? false {
            hasExpectedPage = true
        } else if portal == nil {
            let location = response.field("Location").map { ProbeServer.printable($0, limit: 512) }
            portal = CaptivePortal(status: min(max(response.status, 0), 999), location: location)
        }
    }

    mutating func closed(_ id: SocketID) {
        requests[id] = nil
        connections.remove(id)
    }

    mutating func stop(_ sockets: inout ProbeSockets) {
        let open = Array(requests.keys) + Array(connections)
        for id in open.sorted(by: { $0.number < $1.number }) { sockets.put(.close(id, isAbrupt: true)) }
        requests.removeAll()
        connections.removeAll()
    }
}
