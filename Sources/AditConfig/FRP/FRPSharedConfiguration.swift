// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How peers of frp prove themselves (frp's `auth` table).
package struct FRPAuthConfiguration: Sendable, Equatable {
    /// What is proven.
    package enum Method: String, Sendable, Hashable, CaseIterable {
        case token
        case oidc
    }

    /// The messages beside Login that carry a proof.
    package enum Scope: String, Sendable, Hashable, CaseIterable {
        case heartBeats = "HeartBeats"
        case newWorkConnections = "NewWorkConns"
    }

    /// What is proven.
    package var method = Method.token
    /// The messages beside Login that carry a proof.
    package var additionalScopes: Set<Scope> = []
    /// The shared token; empty when there is none.
    package var token = ""
    /// Where the token is read from instead; nil when `token` holds it.
    package var tokenSource: FRPValueSource?

    /// Makes the defaults.
    package init() {}
}

/// Where a value outside the configuration file comes from (frp's `tokenSource`).
package enum FRPValueSource: Sendable, Equatable {
    /// The content of a file.
    case file(path: String)
    /// The output of a program.
    case exec(command: String, arguments: [String], environment: [String: String])
}

/// Where the log goes (frp's `log` table).
package struct FRPLogConfiguration: Sendable, Equatable {
    /// `console` or the path of a file.
    package var to = "console"
    /// How much is written.
    package var level = LogLevel.info
    /// After how many days a log file is removed.
    package var maxDays = 3
    /// Whether the console gets no colours.
    package var disablePrintColor = false

    /// Makes the defaults.
    package init() {}
}

/// The dashboard or the local API (frp's `webServer` table).
package struct FRPWebServerConfiguration: Sendable, Equatable {
    /// The address to listen on.
    package var addr = "127.0.0.1"
    /// The port to listen on; 0 for no web server.
    package var port: UInt16 = 0
    /// The user of Basic authentication; empty for none.
    package var user = ""
    /// The password of Basic authentication.
    package var password = ""
    /// A folder of pages to serve instead of the built-in ones.
    package var assetsDir = ""
    /// Whether profiling pages are served.
    package var pprofEnable = false
    /// The certificate of HTTPS; nil for HTTP.
    package var tls: FRPTLSFiles?

    /// Makes the defaults.
    package init() {}
}

/// The files of a TLS identity; each is empty when not given.
package struct FRPTLSFiles: Sendable, Equatable {
    /// The certificate chain in PEM.
    package var certFile = ""
    /// The private key in PEM.
    package var keyFile = ""
    /// The authorities that vouch for the other side, in PEM.
    package var trustedCaFile = ""

    /// Makes the defaults.
    package init() {}
}

/// A part of a file that was read and understood but is not built into this version.
package struct UnsupportedFeature: Sendable, Hashable {
    /// The key, such as `transport.protocol` or `proxies[2].type`.
    package var keyPath: String
    /// What it was set to, for the message; empty for a table.
    package var value: String
    /// Where it stands.
    package var position: SourcePosition
    /// Whether the rest of the file does not do its job without it; otherwise a warning is enough.
    package var isEssential: Bool

    /// Makes it from its parts.
    package init(keyPath: String, value: String, position: SourcePosition, isEssential: Bool) {
        self.keyPath = keyPath
        self.value = value
        self.position = position
        self.isEssential = isEssential
    }
}
