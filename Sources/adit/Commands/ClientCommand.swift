// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditTraversal
import AditWire
import ArgumentParser

/// `adit client -c FILE`
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Many tunnels from a file (TOML, YAML or JSON).",
        discussion: "SIGHUP reads the file again; tunnels that did not change are not touched."
    )

    @Option(name: [.customShort("c"), .long], help: ArgumentHelp("The file with the tunnels.", valueName: "file"))
    var config: String

    @OptionGroup var session: SessionOptions

    func run() async throws {
        let file = try ClientFile(path: config)
        var session = session
        if session.server == nil, let server = file.configuration.server { session.server = server.description }
        if session.token == nil { session.token = file.configuration.token }
        if session.fingerprint == nil { session.fingerprint = file.configuration.fingerprint }
        if session.wire == nil, let wire = file.configuration.wire {
            session.wire = FRPWireVersion(rawValue: wire.rawValue)
        }
        if session.paths.p2p == nil, let wish = file.configuration.p2p {
            session.paths.p2p = PathPolicy(rawValue: wish.rawValue)
        }
        if !file.configuration.paths { session.paths.noPaths = true }
        if file.configuration.portBlocks { session.paths.portBlocks = true }
        let path = config
        try await TunnelRun(orders: file.orders, services: file.services, session: session) {
            let file = try ClientFile(path: path)
            return (file.orders, file.services)
        }.run()
    }
}

/// A device's file, read and turned into orders.
struct ClientFile {
    let configuration: ClientConfiguration
    let warnings: [ConfigurationFault]
    let orders: [TunnelOrder]
    let services: [ServiceOrder]

    /// Reads the file.
    ///
    /// - Throws: `ConfigurationFaults` with every fault, or an `AditError` for a file that cannot be read.
    init(path: String) throws {
        try self.init(bytes: TextFile.bytes(at: path), fileName: path)
    }

    /// Reads the bytes of a file.
    init(bytes: [UInt8], fileName: String) throws {
        let loaded = try ConfigurationFile.loadClient(bytes: bytes, fileName: fileName)
        configuration = loaded.configuration
        warnings = loaded.warnings
        var orders: [TunnelOrder] = []
        for tunnel in configuration.tunnels {
            let order = try Self.order(tunnel, fileName: fileName)
            guard !orders.contains(where: { $0.name == order.name }) else {
                throw AditError(
                    .configuration,
                    Text(
                        "\(fileName):\(tunnel.position): two tunnels are called \(order.name)",
                        zh: "\(fileName):\(tunnel.position)：有两个隧道都叫 \(order.name)"
                    ),
                    fix: Text("give one of them another name", zh: "为其中一个改名")
                )
            }
            orders.append(order)
        }
        services = try configuration.services.map { service throws(AditError) in
            try Self.placed(service.position, fileName) { () throws(AditError) in try Self.order(service) }
        }
        guard !orders.isEmpty || !services.isEmpty else {
            throw AditError(
                .configuration,
                Text("\(fileName) has no tunnels and no services", zh: "\(fileName) 中没有隧道，也没有服务"),
                fix: "[[tunnels]]  kind = \"http\"  target = \"3000\""
            )
        }
        self.orders = orders
    }

    private static func order(_ tunnel: TunnelConfiguration, fileName: String) throws(AditError) -> TunnelOrder {
        try placed(tunnel.position, fileName) { () throws(AditError) in try order(tunnel) }
    }

    /// Says in an error where in the file it comes from.
    private static func placed<Order>(
        _ position: SourcePosition,
        _ fileName: String,
        _ make: () throws(AditError) -> Order
    ) throws(AditError) -> Order {
        do throws(AditError) {
            return try make()
        } catch {
            var placed = error
            placed.why.insert(Text(verbatim: "\(fileName):\(position)"), at: 0)
            if error.code == .usage { placed.code = .configuration }
            throw placed
        }
    }

    private static func order(_ service: ServiceConfiguration) throws(AditError) -> ServiceOrder {
        let kind: ServiceOrder.Kind =
            switch service.kind {
            case .tcp: .tcp
            case .udp: .udp
            case .game: .game
            }
        var order = ServiceOrder(
            kind: kind,
            target: try ServiceOrder.target(parsing: service.target),
            name: service.name
        )
        order.allow = service.allow
        order.secret = service.secret
        order.idleTimeout = service.idle
        return order
    }

    private static func tlsOrder(_ tunnel: TunnelConfiguration) throws(AditError) -> TunnelOrder {
        var order = TunnelOrder(
            kind: .tls,
            target: try TLSCommand.target(tunnel.target),
            name: tunnel.name
        )
        order.publicName = tunnel.name
        order.domains = tunnel.domains
        order.allow = tunnel.allow
        order.expiresIn = tunnel.expires
        order.limits = tunnel.limits
        order.proxyProtocol = tunnel.proxyProtocol
        order.hostHeader = .keep
        return order
    }

    private static func kind(_ kind: TunnelConfiguration.Kind) -> TunnelOrder.Kind {
        switch kind {
        case .http: .http
        case .tcp: .tcp
        case .udp: .udp
        case .game: .game
        case .tls: .tls
        }
    }

    private static func order(_ tunnel: TunnelConfiguration) throws(AditError) -> TunnelOrder {
        if tunnel.kind == .tls { return try tlsOrder(tunnel) }
        let isHTTP = tunnel.kind == .http
        let place = isHTTP ? TunnelTarget.http2Place(tunnel.target) : nil
        let target = try TunnelTarget(parsing: place ?? tunnel.target, scheme: isHTTP ? .http : .tcp)
        var order = TunnelOrder(kind: kind(tunnel.kind), target: target, name: tunnel.name)
        order.speaksHTTP2 = tunnel.http2 || place != nil
        order.idleTimeout = tunnel.idle
        if isHTTP { order.publicName = tunnel.name }
        order.domains = tunnel.domains
        order.port = tunnel.port
        order.auth = tunnel.auth
        order.allow = tunnel.allow
        order.expiresIn = tunnel.expires
        order.isPublic = tunnel.isPublic
        order.limits = tunnel.limits
        order.proxyProtocol = tunnel.proxyProtocol
        order.requestHeaders = tunnel.requestHeaders
        switch tunnel.hostHeader {
        case nil, "auto": order.hostHeader = .automatic
        case "keep": order.hostHeader = .keep
        case let value?: order.hostHeader = .value(value)
        }
        guard order.kind == .tcp || order.kind == .game,
            var gate = TargetRules.riskyPortGate(target, isPublic: tunnel.isPublic, allow: tunnel.allow)
        else { return order }
        gate.why = []
        gate.fix = Text(
            "add  allow = [\"203.0.113.0/24\"]  or  public = true  to this tunnel",
            zh: "为该隧道添加  allow = [\"203.0.113.0/24\"]  或  public = true"
        )
        throw gate
    }
}

/// Reading files that a person named.
enum TextFile {
    /// The bytes of a file of at most 4 MiB, or of standard input when the path is `-`.
    static func bytes(at path: String) throws(AditError) -> [UInt8] {
        do {
            let bytes = try SmallFile.bytes(at: path == "-" ? "/dev/stdin" : path, limit: 4 << 20)
            return bytes
        } catch {
            throw AditError(
                .configuration,
                Text("cannot read \(path)", zh: "无法读取 \(path)"),
                why: [Text(verbatim: error.reason)]
            )
        }
    }
}
