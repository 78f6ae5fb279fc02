// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Asks the server to open a proxy: what Adit calls a tunnel or a service.
package struct FRPNewProxy: Sendable, Equatable {
    package var proxyName: String
    /// `tcp`, `udp`, `http`, `https`, `tcpmux`, `stcp`, `sudp` or `xtcp`.
    package var proxyType: String
    package var useEncryption: Bool
    package var useCompression: Bool
    /// Such as `1MB` or `500KB` a second; empty for no limit.
    package var bandwidthLimit: String
    /// `client` (also when empty) or `server`.
    package var bandwidthLimitMode: String
    package var group: String
    package var groupKey: String
    package var metas: [String: String]
    package var annotations: [String: String]
    /// The wanted public port, whose range the receiver checks; 0 lets the server choose.
    package var remotePort: Int
    package var customDomains: [String]
    package var subdomain: String
    package var locations: [String]
    package var httpUser: String
    package var httpPassword: String
    package var hostHeaderRewrite: String
    package var headers: [String: String]
    package var responseHeaders: [String: String]
    package var routeByHTTPUser: String
    package var secretKey: String
    package var allowUsers: [String]
    package var multiplexer: String
    package var adit: AditTunnelRequest?

    /// Makes a request from its fields.
    package init(
        proxyName: String = "",
        proxyType: String = "",
        useEncryption: Bool = false,
        useCompression: Bool = false,
        bandwidthLimit: String = "",
        bandwidthLimitMode: String = "",
        group: String = "",
        groupKey: String = "",
        metas: [String: String] = [:],
        annotations: [String: String] = [:],
        remotePort: Int = 0,
        customDomains: [String] = [],
        subdomain: String = "",
        locations: [String] = [],
        httpUser: String = "",
        httpPassword: String = "",
        hostHeaderRewrite: String = "",
        headers: [String: String] = [:],
        responseHeaders: [String: String] = [:],
        routeByHTTPUser: String = "",
        secretKey: String = "",
        allowUsers: [String] = [],
        multiplexer: String = "",
        adit: AditTunnelRequest? = nil
    ) {
        self.proxyName = proxyName
        self.proxyType = proxyType
        self.useEncryption = useEncryption
        self.useCompression = useCompression
        self.bandwidthLimit = bandwidthLimit
        self.bandwidthLimitMode = bandwidthLimitMode
        self.group = group
        self.groupKey = groupKey
        self.metas = metas
        self.annotations = annotations
        self.remotePort = remotePort
        self.customDomains = customDomains
        self.subdomain = subdomain
        self.locations = locations
        self.httpUser = httpUser
        self.httpPassword = httpPassword
        self.hostHeaderRewrite = hostHeaderRewrite
        self.headers = headers
        self.responseHeaders = responseHeaders
        self.routeByHTTPUser = routeByHTTPUser
        self.secretKey = secretKey
        self.allowUsers = allowUsers
        self.multiplexer = multiplexer
        self.adit = adit
    }
}

/// The server's answer to a new proxy; replies are matched to requests by name, and a non-empty `error` refuses.
package struct FRPNewProxyResponse: Sendable, Equatable {
    package var proxyName: String
    /// `:port` for tcp and udp, `host[:port]` with commas for names, empty for private services.
    package var remoteAddress: String
    package var error: String
    package var adit: AditTunnelResponse?

    /// Makes an answer from its fields.
    package init(
        proxyName: String = "",
        remoteAddress: String = "",
        error: String = "",
        adit: AditTunnelResponse? = nil
    ) {
        self.proxyName = proxyName
        self.remoteAddress = remoteAddress
        self.error = error
        self.adit = adit
    }
}

/// Tells the server that a proxy ends; there is no answer.
package struct FRPCloseProxy: Sendable, Equatable {
    package var proxyName: String

    /// Makes the message for one proxy.
    package init(proxyName: String = "") {
        self.proxyName = proxyName
    }
}

extension FRPNewProxy: JSONMessage {
    private enum Key: String, CodingKey {
        case proxyName = "proxy_name"
        case proxyType = "proxy_type"
        case useEncryption = "use_encryption"
        case useCompression = "use_compression"
        case bandwidthLimit = "bandwidth_limit"
        case bandwidthLimitMode = "bandwidth_limit_mode"
        case group
        case groupKey = "group_key"
        case metas, annotations
        case remotePort = "remote_port"
        case customDomains = "custom_domains"
        case subdomain, locations
        case httpUser = "http_user"
        case httpPassword = "http_pwd"
        case hostHeaderRewrite = "host_header_rewrite"
        case headers
        case responseHeaders = "response_headers"
        case routeByHTTPUser = "route_by_http_user"
        case secretKey = "sk"
        case allowUsers = "allow_users"
        case multiplexer, adit
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            proxyName: try fields.text(.proxyName),
            proxyType: try fields.text(.proxyType),
            useEncryption: try fields.flag(.useEncryption),
            useCompression: try fields.flag(.useCompression),
            bandwidthLimit: try fields.text(.bandwidthLimit),
            bandwidthLimitMode: try fields.text(.bandwidthLimitMode),
            group: try fields.text(.group),
            groupKey: try fields.text(.groupKey),
            metas: try fields.map(.metas),
            annotations: try fields.map(.annotations),
            remotePort: try fields.number(.remotePort),
            customDomains: try fields.list(.customDomains),
            subdomain: try fields.text(.subdomain),
            locations: try fields.list(.locations),
            httpUser: try fields.text(.httpUser),
            httpPassword: try fields.text(.httpPassword),
            hostHeaderRewrite: try fields.text(.hostHeaderRewrite),
            headers: try fields.map(.headers),
            responseHeaders: try fields.map(.responseHeaders),
            routeByHTTPUser: try fields.text(.routeByHTTPUser),
            secretKey: try fields.text(.secretKey),
            allowUsers: try fields.list(.allowUsers),
            multiplexer: try fields.text(.multiplexer),
            adit: try fields.object(.adit)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxy_name", proxyName)
        object.field("proxy_type", proxyType)
        object.field("use_encryption", useEncryption)
        object.field("use_compression", useCompression)
        object.field("bandwidth_limit", bandwidthLimit)
        object.field("bandwidth_limit_mode", bandwidthLimitMode)
        object.field("group", group)
        object.field("group_key", groupKey)
        object.field("metas", metas)
        object.field("annotations", annotations)
        object.field("remote_port", remotePort)
        object.field("custom_domains", customDomains)
        object.field("subdomain", subdomain)
        object.field("locations", locations)
        object.field("http_user", httpUser)
        object.field("http_pwd", httpPassword)
        object.field("host_header_rewrite", hostHeaderRewrite)
        object.field("headers", headers)
        object.field("response_headers", responseHeaders)
        object.field("route_by_http_user", routeByHTTPUser)
        object.field("sk", secretKey)
        object.field("allow_users", allowUsers)
        object.field("multiplexer", multiplexer)
        object.field("adit", adit)
    }
}

extension FRPNewProxyResponse: JSONMessage {
    private enum Key: String, CodingKey {
        case proxyName = "proxy_name"
        case remoteAddress = "remote_addr"
        case error, adit
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            proxyName: try fields.text(.proxyName),
            remoteAddress: try fields.text(.remoteAddress),
            error: try fields.text(.error),
            adit: try fields.object(.adit)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxy_name", proxyName)
        object.field("remote_addr", remoteAddress)
        object.field("error", error)
        object.field("adit", adit)
    }
}

extension FRPCloseProxy: JSONMessage {
    private enum Key: String, CodingKey { case proxyName = "proxy_name" }

    init(json decoder: any Decoder) throws {
        self.init(proxyName: try decoder.container(keyedBy: Key.self).text(.proxyName))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxy_name", proxyName)
    }
}
