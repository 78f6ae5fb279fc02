// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The first frame of a wire v2 control connection: what the client can do.
package struct FRPClientHello: Sendable, Equatable {
    /// How the client reached the server, for information only: `tcp`, `kcp`, `quic`, `websocket`, `wss`.
    package var transport: String
    package var tls: Bool
    package var tcpMux: Bool
    /// Message codecs; frp knows `json`.
    package var codecs: [String]
    /// Control stream ciphers, best first.
    package var algorithms: [String]
    /// 32 random bytes.
    package var clientRandom: [UInt8]
    /// Present when the client is Adit.
    package var adit: AditHello?

    /// Makes a hello from its fields.
    package init(
        transport: String = "tcp",
        tls: Bool = false,
        tcpMux: Bool = false,
        codecs: [String] = ["json"],
        algorithms: [String] = [],
        clientRandom: [UInt8] = [],
        adit: AditHello? = nil
    ) {
        self.transport = transport
        self.tls = tls
        self.tcpMux = tcpMux
        self.codecs = codecs
        self.algorithms = algorithms
        self.clientRandom = clientRandom
        self.adit = adit
    }
}

/// The server's answer to a ClientHello: what it chose.
package struct FRPServerHello: Sendable, Equatable {
    package var codec: String
    package var algorithm: String
    /// 32 random bytes.
    package var serverRandom: [UInt8]
    /// Present when the client said that it is Adit and the server is too.
    package var adit: AditHello?
    /// Not empty when the server cannot serve the client.
    package var error: String

    /// Makes an answer from its fields.
    package init(
        codec: String = "json",
        algorithm: String = "",
        serverRandom: [UInt8] = [],
        adit: AditHello? = nil,
        error: String = ""
    ) {
        self.codec = codec
        self.algorithm = algorithm
        self.serverRandom = serverRandom
        self.adit = adit
        self.error = error
    }
}

extension FRPClientHello: JSONMessage {
    private enum Key: String, CodingKey { case bootstrap, capabilities }
    private enum BootstrapKey: String, CodingKey { case transport, tls, tcpMux }
    private enum CapabilityKey: String, CodingKey { case message, crypto, adit }
    private enum MessageKey: String, CodingKey { case codecs }
    private enum CryptoKey: String, CodingKey { case algorithms, clientRandom }

    init(json decoder: any Decoder) throws {
        let hello = try decoder.container(keyedBy: Key.self)
        let bootstrap = try hello.nested(.bootstrap, BootstrapKey.self)
        let capabilities = try hello.nested(.capabilities, CapabilityKey.self)
        let message = try capabilities?.nested(.message, MessageKey.self)
        let crypto = try capabilities?.nested(.crypto, CryptoKey.self)
        self.init(
            transport: try bootstrap?.text(.transport) ?? "",
            tls: try bootstrap?.flag(.tls) ?? false,
            tcpMux: try bootstrap?.flag(.tcpMux) ?? false,
            codecs: try message?.list(.codecs) ?? [],
            algorithms: try crypto?.list(.algorithms) ?? [],
            clientRandom: try crypto?.bytes(.clientRandom) ?? [],
            adit: try capabilities?.object(.adit)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.object("bootstrap") { bootstrap in
            bootstrap.field("transport", transport)
            bootstrap.field("tls", tls)
            bootstrap.field("tcpMux", tcpMux)
        }
        object.object("capabilities") { capabilities in
            capabilities.object("message") { $0.field("codecs", codecs) }
            capabilities.object("crypto") { crypto in
                crypto.field("algorithms", algorithms)
                crypto.field("clientRandom", bytes: clientRandom)
            }
            capabilities.field("adit", adit)
        }
    }
}

extension FRPServerHello: JSONMessage {
    private enum Key: String, CodingKey { case selected, error }
    private enum SelectedKey: String, CodingKey { case message, crypto, adit }
    private enum MessageKey: String, CodingKey { case codec }
    private enum CryptoKey: String, CodingKey { case algorithm, serverRandom }

    init(json decoder: any Decoder) throws {
        let hello = try decoder.container(keyedBy: Key.self)
        let selected = try hello.nested(.selected, SelectedKey.self)
        let message = try selected?.nested(.message, MessageKey.self)
        let crypto = try selected?.nested(.crypto, CryptoKey.self)
        self.init(
            codec: try message?.text(.codec) ?? "",
            algorithm: try crypto?.text(.algorithm) ?? "",
            serverRandom: try crypto?.bytes(.serverRandom) ?? [],
            adit: try selected?.object(.adit),
            error: try hello.text(.error)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.object("selected") { selected in
            selected.object("message") { $0.field("codec", codec) }
            selected.object("crypto") { crypto in
                crypto.field("algorithm", algorithm)
                crypto.field("serverRandom", bytes: serverRandom)
            }
            selected.field("adit", adit)
        }
        object.field("error", error)
    }
}
