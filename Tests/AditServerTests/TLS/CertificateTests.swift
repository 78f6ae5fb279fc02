// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTransport
import AditTunnel
import Foundation
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

struct CertificateTests {
    private let folder: TestCertificates
    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        folder = try TestCertificates()
    }

    private func store(_ files: TLSCertificateFiles...) throws -> CertificateStore {
        try CertificateStore(files, protocols: ["http/1.1"], log: log)
    }

    private func names(_ store: CertificateStore, _ host: String) throws -> [String]? {
        store.certificate(for: try #require(HostName(host)))?.names
    }

    @Test func theCertificateForANameIsChosenExactlyThenByWildcard() throws {
        let wildcard = try folder.write("wildcard", names: ["*.example.com", "Example.com."]).files
        let exact = try folder.write("exact", names: ["blog.example.com"], days: 4000).files
        let store = try store(wildcard, exact)
        #expect(try names(store, "blog.example.com") == ["blog.example.com"])
        #expect(try names(store, "shop.EXAMPLE.com.") == ["*.example.com", "example.com"])
        #expect(try names(store, "example.com") == ["*.example.com", "example.com"])
        for host in ["a.shop.example.com", "example.org", "com", "*.example.com"] {
            #expect(try names(store, host) == nil, "\(host)")
        }
        #expect(store.standard?.names == ["*.example.com", "example.com"])
        // Of two for one name the one that is valid for longer.
        let long = try folder.write("long", names: ["blog.example.com", "long.example.com"], days: 5000).files
        for both in [[exact, long], [long, exact]] {
            try store.replace(both)
            #expect(try names(store, "blog.example.com")?.count == 2)
        }
    }

    @Test func filesThatCannotBeUsedAreNamedWithTheReason() throws {
        let good = try folder.write("good", names: ["a.example.com"])
        let other = try folder.write("other", names: ["a.example.com"])
        let nameless = try folder.write("nameless", names: [])
        try folder.replace(folder.path("text.pem"), "nonsense")
        let body = good.made.keyPEM.split(separator: "\n").dropFirst().dropLast().joined(separator: "\n")
        try folder.replace(
            folder.path("locked.key"),
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\(body)\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
        let text = folder.path("text.pem")
        let cases: [(String, String, String)] = [
            (folder.path("none.crt"), good.files.key, "there is no such file"),
            (good.files.certificate, folder.path("none.key"), "there is no such file"),
            (text, good.files.key, "it has no certificate in PEM"),
            (good.files.certificate, text, "it has no private key in PEM"),
            (good.files.certificate, folder.path("locked.key"), "the key is encrypted with a passphrase"),
            (nameless.files.certificate, nameless.files.key, "it names no host (subjectAltName)"),
            (
                good.files.certificate, other.files.key,
                "the key does not belong to the first certificate of \(good.files.certificate)"
            ),
        ]
        for (certificate, key, reason) in cases {
            let error = #expect(throws: AditError.self) {
                try store(TLSCertificateFiles(certificate: certificate, key: key))
            }
            #expect(error?.code == .certificateUnusable)
            #expect(error?.why.first?.english == reason)
        }
    }

    @Test func changedFilesAreTakenUpAndBrokenOnesAreNot() throws {
        let files = try folder.write("it", names: ["a.example.com"]).files
        let store = try store(files)
        let now = UnixTime(seconds: 1_750_000_000)
        try folder.write("it", names: ["b.example.com"])
        #expect(try names(store, "b.example.com") == nil)
        store.refresh(at: now)
        #expect(try names(store, "b.example.com") == ["b.example.com"])
        #expect(try names(store, "a.example.com") == nil)
        try folder.replace(files.key, "nonsense")
        store.refresh(at: now)
        #expect(try names(store, "b.example.com") == ["b.example.com"])
        #expect(throws: AditError.self) { try store.replace([files]) }
        #expect(try names(store, "b.example.com") == ["b.example.com"])
        try FileManager.default.removeItem(atPath: files.certificate)
        store.refresh(at: now)
        #expect(try names(store, "b.example.com") == ["b.example.com"])
        try folder.write("it", names: ["c.example.com"])
        store.refresh(at: now)
        #expect(try names(store, "c.example.com") == ["c.example.com"])
        try store.replace([])
        #expect(store.isEmpty)
    }

    @Test func theStatusTellsWhatRunsOutAndWhatIsOpenToOthers() async throws {
        let files = try folder.write("it", names: ["a.localhost"], notBefore: 1_799_000_000, days: 15).files
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: files.key)
        let test = try await TestServer.start { setup in
            setup.httpsPort = 0
            setup.certificates = [files]
        }
        let loop = test.group.next()
        let status = try #require(try await test.server.status(on: loop).get().certificates?.first)
        #expect(status.names == ["a.localhost"])
        #expect(status.expires == 1_799_000_000 + 15 * 86_400)
        #expect(
            status.remarks.map(\.en) == [
                "the certificate for a.localhost expires in 3 days",
                "others can read or change \(files.key):  chmod 600 \(files.key)",
            ]
        )
        test.time.withLockedValue { $0 += 10 * 86_400 }
        try folder.replace(files.key, "nonsense")
        test.server.certificates.refresh(at: test.now)
        let later = try #require(try await test.server.status(on: loop).get().certificates?.first)
        #expect(later.remarks.first?.en == "\(files.key) cannot be used for https")
        #expect(later.remarks.contains { $0.en == "the certificate for a.localhost expired 6 days ago" })
        try await test.stop()
    }

    @Test func aServerWithABrokenCertificateDoesNotStart() async throws {
        let error = await #expect(throws: AditError.self) {
            try await TestServer.start { setup in
                setup.certificates = [TLSCertificateFiles(certificate: "/nowhere", key: "/nowhere")]
            }
        }
        #expect(error?.code == .certificateUnusable)
    }

    @Test func visitorsGetTheNewCertificateAfterTheFilesChanged() async throws {
        let first = try folder.write("it", names: ["a.localhost"])
        let test = try await TestServer.start { setup in
            setup.httpsPort = 0
            setup.certificates = [first.files]
        } parts: {
            $0.certificateInterval = .milliseconds(5)
        }
        let port = test.server.httpsPort
        let before = try await SecureVisitor.get(port, name: "a.localhost", trusting: first.made)
        #expect(before.text.hasPrefix("HTTP/1.1 404 "))
        let second = try folder.write("it", names: ["a.localhost"]).made
        let after = try await eventually {
            try await SecureVisitor.get(port, name: "a.localhost", trusting: second)
        } until: {
            $0.text.hasPrefix("HTTP/1.1 404 ")
        }
        #expect(after.text.hasPrefix("HTTP/1.1 404 "))
        #expect(try await SecureVisitor.get(port, name: "a.localhost", trusting: first.made).failure != nil)
        try await test.stop()
    }

    @Test func aReloadTakesUpOtherCertificates() async throws {
        let first = try folder.write("first", names: ["a.localhost"]).files
        let second = try folder.write("second", names: ["b.localhost"])
        let test = try await TestServer.start { setup in
            setup.httpsPort = 0
            setup.certificates = [first]
        }
        var wanted = ServerSetup()
        wanted.certificates = [second.files]
        try test.server.certificates.replace(wanted.certificates)
        #expect(test.server.reload(wanted).changed.contains("certificates"))
        let answer = try await SecureVisitor.get(test.server.httpsPort, name: "b.localhost", trusting: second.made)
        #expect(answer.text.hasPrefix("HTTP/1.1 404 "))
        try await test.stop()
    }
}
