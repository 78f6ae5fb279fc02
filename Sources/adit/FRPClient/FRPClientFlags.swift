// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import ArgumentParser

/// The flags that every proxy command of frpc has.
struct FRPClientFlags: ParsableArguments {
    @Option(name: [.customShort("s", allowingJoined: true), .customLong("server-addr")]) var serverAddr = "127.0.0.1"
    @Option(name: [.customShort("P", allowingJoined: true), .customLong("server-port")]) var serverPort: UInt16 = 7000
    @Option(name: [.customShort("p", allowingJoined: true), .customLong("protocol")]) var transport = "tcp"
    @Option(name: [.customShort("u", allowingJoined: true), .customLong("user")]) var user = ""
    @Option(name: [.customShort("t", allowingJoined: true), .customLong("token")]) var token = ""
    @Option(name: .customLong("client-id")) var clientID = ""
    @Option(name: .customLong("tls-enable")) var tlsEnable = true
    @Option(name: .customLong("tls-server-name")) var tlsServerName = ""
    @Option(name: .customLong("dns-server"), help: .hidden) var dnsServer = ""
    @Option(name: .customLong("log-file")) var logFile = "console"
    @Option(name: .customLong("log-level")) var logLevel = LogLevel.info
    @Option(name: .customLong("log-max-days")) var logMaxDays = 3
    @Option(name: .customLong("disable-log-color")) var disableLogColor = false
    @Option(name: [.customShort("n", allowingJoined: true), .customLong("proxy-name")]) var proxyName = ""
    @Option(name: [.customShort("i", allowingJoined: true), .customLong("local-ip")]) var localIP = "127.0.0.1"
    @Option(name: [.customShort("l", allowingJoined: true), .customLong("local-port")]) var localPort: UInt16 = 0
    @Option(name: .customLong("ue"), help: "Encrypt work connections with the token.") var useEncryption = false
    @Option(name: .customLong("uc"), help: "Compress work connections.") var useCompression = false
    @Option(name: .customLong("bandwidth-limit")) var bandwidthLimit = ""
    @Option(name: .customLong("bandwidth-limit-mode")) var bandwidthLimitMode = "client"
    @Option(name: .customLong("metadatas"), help: "key=value, with commas.") var metadatas = ""
    @Option(name: .customLong("annotations"), help: "key=value, with commas.") var annotations = ""

    /// The configuration that the flags make, with one proxy that `complete` finishes.
    func configuration(
        _ type: FRPProxyConfiguration.Kind,
        _ complete: (inout FRPProxyConfiguration) -> Void
    ) throws -> FRPClientConfiguration {
        guard transport == "tcp" else {
            throw FRPClientSource.failure("--protocol \(transport) is not available in this version")
        }
        guard dnsServer.isEmpty else {
            throw FRPClientSource.failure("--dns_server is not available in this version")
        }
        guard !proxyName.isEmpty else { throw FRPClientSource.failure("name should not be empty") }
        guard localPort != 0 else { throw FRPClientSource.failure("local_port is required") }
        var file = FRPClientConfiguration()
        file.serverAddr = serverAddr
        file.serverPort = serverPort
        file.user = user
        file.clientID = clientID
        file.auth.token = token
        file.transport.tlsEnable = tlsEnable
        file.transport.tlsServerName = tlsServerName
        file.log.to = logFile
        file.log.level = logLevel
        file.log.maxDays = logMaxDays
        file.log.disablePrintColor = disableLogColor
        var proxy = FRPProxyConfiguration(name: proxyName, type: type)
        proxy.localIP = localIP
        proxy.localPort = localPort
        proxy.useEncryption = useEncryption
        proxy.useCompression = useCompression
        if !bandwidthLimit.isEmpty {
            guard let limit = Bandwidth(bandwidthLimit) else {
                throw FRPClientSource.failure("--bandwidth_limit \(bandwidthLimit) is not a bandwidth such as 1MB")
            }
            proxy.bandwidthLimit = limit
        }
        guard bandwidthLimitMode == "client" || bandwidthLimitMode == "server" else {
            throw FRPClientSource.failure("--bandwidth_limit_mode is client or server")
        }
        proxy.bandwidthLimitMode = bandwidthLimitMode
        proxy.metadatas = try Self.map(metadatas)
        proxy.annotations = try Self.map(annotations)
        complete(&proxy)
        file.proxies = [proxy]
        return file
    }

    private static func map(_ text: String) throws -> [String: String] {
        var map: [String: String] = [:]
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw FRPClientSource.failure("\(pair) must be formatted as key=value")
            }
            map[String(parts[0])] = String(parts[1])
        }
        return map
    }
}

/// `adit frpc tcp …`
struct FRPClientTCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tcp", abstract: "Run with a single tcp proxy.")

    @OptionGroup var flags: FRPClientFlags
    @Option(name: [.customShort("r", allowingJoined: true), .customLong("remote-port")]) var remotePort: UInt16 = 0

    func run() async throws {
        let file = try flags.configuration(.tcp) { $0.remotePort = remotePort }
        try await FRPClientRun(configuration: file, source: FRPClientSource.parse([])).run(
            beginning: "start frpc service with flags"
        )
    }
}

/// `adit frpc udp …`
struct FRPClientUDPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "udp", abstract: "Run with a single udp proxy.")

    @OptionGroup var flags: FRPClientFlags
    @Option(name: [.customShort("r", allowingJoined: true), .customLong("remote-port")]) var remotePort: UInt16 = 0

    func run() async throws {
        let file = try flags.configuration(.udp) { $0.remotePort = remotePort }
        try await FRPClientRun(configuration: file, source: FRPClientSource.parse([])).run(
            beginning: "start frpc service with flags"
        )
    }
}

/// `adit frpc http …`
struct FRPClientHTTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "http", abstract: "Run with a single http proxy.")

    @OptionGroup var flags: FRPClientFlags
    @Option(name: [.customShort("d", allowingJoined: true), .customLong("custom-domain")]) var customDomain = ""
    @Option(name: .customLong("sd")) var subdomain = ""
    @Option(name: .customLong("locations")) var locations = ""
    @Option(name: .customLong("http-user")) var httpUser = ""
    @Option(name: .customLong("http-pwd")) var httpPassword = ""
    @Option(name: .customLong("host-header-rewrite")) var hostHeaderRewrite = ""

    func run() async throws {
        let file = try flags.configuration(.http) { proxy in
            proxy.customDomains = customDomain.split(separator: ",").map(String.init)
            proxy.subdomain = subdomain
            proxy.locations = locations.split(separator: ",").map(String.init)
            proxy.httpUser = httpUser
            proxy.httpPassword = httpPassword
            proxy.hostHeaderRewrite = hostHeaderRewrite
        }
        guard !customDomain.isEmpty || !subdomain.isEmpty else {
            throw FRPClientSource.failure("custom_domain and subdomain should set at least one of them")
        }
        try await FRPClientRun(configuration: file, source: FRPClientSource.parse([])).run(
            beginning: "start frpc service with flags"
        )
    }
}

/// `adit frpc https …`
struct FRPClientHTTPSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "https", abstract: "Run with a single https proxy.")

    @OptionGroup var flags: FRPClientFlags
    @Option(name: [.customShort("d", allowingJoined: true), .customLong("custom-domain")]) var customDomain = ""
    @Option(name: .customLong("sd")) var subdomain = ""

    func run() async throws {
        let file = try flags.configuration(.https) { proxy in
            proxy.customDomains = customDomain.split(separator: ",").map(String.init)
            proxy.subdomain = subdomain
        }
        guard !customDomain.isEmpty || !subdomain.isEmpty else {
            throw FRPClientSource.failure("custom_domain and subdomain should set at least one of them")
        }
        try await FRPClientRun(configuration: file, source: FRPClientSource.parse([])).run(
            beginning: "start frpc service with flags"
        )
    }
}
