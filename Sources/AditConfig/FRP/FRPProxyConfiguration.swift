// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One proxy of frpc: a local service and how visitors reach it.
///
/// Properties have the names of frp's keys; those that a type does not have keep their defaults.
package struct FRPProxyConfiguration: Sendable, Equatable {
    /// What visitors speak and how they are told apart.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case tcp
        case udp
        case http
        case https
        case tcpmux
        case stcp
        case sudp
        case xtcp
    }

    /// How the local service is watched.
    package struct HealthCheck: Sendable, Equatable {
        /// How the service is asked.
        package enum Kind: String, Sendable, Hashable, CaseIterable {
            case tcp
            case http
        }

        /// How the service is asked.
        package var type: Kind
        /// Seconds until an answer must be there.
        package var timeoutSeconds = 3
        /// After how many failures the proxy leaves.
        package var maxFailed = 1
        /// Seconds between two checks.
        package var intervalSeconds = 10
        /// The path of an http check.
        package var path = ""
        /// The headers of an http check.
        package var httpHeaders: [String: String] = [:]

        /// Makes a check with frp's defaults.
        package init(type: Kind) {
            self.type = type
        }
    }

    /// A local handler that takes the place of the service.
    package struct Plugin: Sendable, Equatable {
        /// The plugin's type, such as `static_file`.
        package var type: String
        /// Its options by key.
        package var options: [String: String]
        /// The headers that it sets on requests.
        package var requestHeaders: [String: String]
    }

    /// The proxy's name, without the user's prefix.
    package var name: String
    /// What visitors speak and how they are told apart.
    package var type: Kind
    /// Whether it is started.
    package var enabled = true
    /// Notes shown on the server's dashboard.
    package var annotations: [String: String] = [:]
    /// Facts for server plugins.
    package var metadatas: [String: String] = [:]
    /// The service's address.
    package var localIP = "127.0.0.1"
    /// The service's port; 0 when a plugin takes its place.
    package var localPort: UInt16 = 0
    /// The handler in place of the service.
    package var plugin: Plugin?
    /// The public port of tcp and udp; 0 for one of the server's choice.
    package var remotePort: UInt16 = 0
    /// The domains of http, https and tcpmux.
    package var customDomains: [String] = []
    /// The name under the server's `subDomainHost`; empty for none.
    package var subdomain = ""
    /// The path prefixes of http; empty for all.
    package var locations: [String] = []
    /// The user of Basic authentication; empty for none.
    package var httpUser = ""
    /// The password of Basic authentication.
    package var httpPassword = ""
    /// The Host header that the service gets; empty for the visitor's.
    package var hostHeaderRewrite = ""
    /// Headers set on each request.
    package var requestHeaders: [String: String] = [:]
    /// Headers set on each response.
    package var responseHeaders: [String: String] = [:]
    /// The user name that visitors must give to be routed here; empty for any.
    package var routeByHTTPUser = ""
    /// How tcpmux tells hosts apart; only `httpconnect`.
    package var multiplexer = ""
    /// The secret that visitors of stcp, sudp and xtcp share.
    package var secretKey = ""
    /// The users whose visitors are let in.
    package var allowUsers: [String] = []
    /// Whether work connections are encrypted with the token.
    package var useEncryption = false
    /// Whether work connections are compressed.
    package var useCompression = false
    /// Bytes a second that the proxy may carry; nil for no limit.
    package var bandwidthLimit: Bandwidth?
    /// Who holds the limit: client or server.
    package var bandwidthLimitMode = "client"
    /// The PROXY protocol version towards the service; nil for none.
    package var proxyProtocolVersion: ProxyProtocolVersion?
    /// The load-balancing group; empty for none.
    package var group = ""
    /// The secret of the group.
    package var groupKey = ""
    /// How the service is watched; nil for not at all.
    package var healthCheck: HealthCheck?
    /// Where the proxy stands in the file.
    package var position: SourcePosition

    /// Makes a proxy with frp's defaults.
    package init(name: String, type: Kind, position: SourcePosition = .start) {
        self.name = name
        self.type = type
        self.position = position
    }
}
