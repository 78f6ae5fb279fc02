// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import Testing

@Suite struct ServerCertificateTests {
    private func read(_ text: String) throws -> ServerConfiguration {
        try ConfigurationFile.loadServer(bytes: Array(text.utf8), fileName: "server.toml").configuration
    }

    @Test func theKeysOfHTTPSAreRead() throws {
        let server = try read(
            """
            httpsPort = 443
            redirectToHTTPS = false
            [[certificates]]
            certificate = "a.crt"
            key = "a.key"
            [[certificates]]
            certificate = "b.crt"
            key = "b.key"
            """
        )
        #expect(server.httpsPort == 443)
        #expect(!server.redirectToHTTPS)
        #expect(
            server.certificates == [
                .init(certificate: "a.crt", key: "a.key"), .init(certificate: "b.crt", key: "b.key"),
            ]
        )
        #expect(try read("").httpsPort == nil)
        // One port may take sessions and visitors with TLS.
        #expect(try read("sessionPort = 443\nhttpsPort = 443").httpsPort == 443)
    }

    @Test func aCertificateWithoutItsKeyIsAFault() throws {
        let faults = try #require(throws: ConfigurationFaults.self) {
            try read("certificates = [{ certificate = \"a.crt\" }]")
        }
        #expect(faults.description.contains("the key \"key\" is missing"))
        let unknown = try #require(throws: ConfigurationFaults.self) {
            try read("certificates = [{ certificate = \"a.crt\", kye = \"a.key\" }]")
        }
        #expect(unknown.description.contains("did you mean \"key\""))
    }

    @Test func aTLSTunnelHasANameAndNothingOfWhatIsInside() throws {
        let text = "[[tunnels]]\nkind = \"tls\"\ntarget = 8443\n"
        let load = { (more: String) in
            try ConfigurationFile.loadClient(bytes: Array((text + more).utf8), fileName: "c.toml").configuration
        }
        let tunnel = try #require(
            try load("name = \"vault\"\ndomains = [\"vault.example.org\"]\nallow = [\"192.0.2.1\"]\nexpires = \"1h\"")
                .tunnels.first
        )
        #expect(tunnel.kind == .tls)
        #expect(tunnel.domains == ["vault.example.org"])
        for key in ["auth = [\"a:b\"]", "hostHeader = \"keep\"", "requestHeaders = { a = \"b\" }", "port = 8443"] {
            #expect(throws: ConfigurationFaults.self, "\(key)") { try load(key) }
        }
    }
}
