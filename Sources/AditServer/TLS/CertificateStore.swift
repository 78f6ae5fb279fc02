// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditTunnel
package import Logging
import NIOConcurrencyHelpers

/// The certificates with which the server ends visitors' TLS connections, taken up anew when their files change.
package final class CertificateStore: Sendable {
    private struct State {
        var entries: [CertificateFile] = []
        /// By exact host or `*.parent`; of several the one that is valid for longest.
        var byName: [String: VisitorCertificate] = [:]
        var lastRemarks = UnixTime(seconds: 0)

        mutating func settle() {
            byName = [:]
            for entry in entries {
                for name in entry.certificate.names {
                    if let other = byName[name], other.notAfter >= entry.certificate.notAfter { continue }
                    byName[name] = entry.certificate
                }
            }
        }
    }

    /// How often the owner is reminded of a certificate that runs out.
    private static let reminderInterval: Int64 = 86_400

    private let protocols: [String]
    private let log: Logger
    private let state: NIOLockedValueBox<State>

    /// Reads every pair of files.
    ///
    /// - Parameter protocols: what is spoken inside, the preferred one first.
    /// - Throws: `AditError` 906 with the file and the reason when one of them cannot be used.
    package init(_ files: [TLSCertificateFiles], protocols: [String], log: Logger) throws(AditError) {
        self.protocols = protocols
        self.log = log
        var read = State()
        for pair in files { read.entries.append(try CertificateFile(pair, protocols: protocols)) }
        read.settle()
        state = NIOLockedValueBox(read)
    }

    /// Whether there is none.
    package var isEmpty: Bool { state.withLockedValue { $0.entries.isEmpty } }

    /// The certificate for a host, by its name or by its parent's `*.` (RFC 9525 section 6.3); nil when none is for it.
    package func certificate(for host: HostName) -> VisitorCertificate? {
        guard !host.text.utf8.contains(UInt8(ascii: "*")) else { return nil }
        return state.withLockedValue { state in
            if let exact = state.byName[host.text] { return exact }
            guard let dot = host.text.firstIndex(of: ".") else { return nil }
            return state.byName["*" + host.text[dot...]]
        }
    }

    /// The certificate for a client that names no host: the first one.
    package var standard: VisitorCertificate? { state.withLockedValue { $0.entries.first?.certificate } }

    /// Takes these files in place of the present ones, reading all of them; throws as `init` does, changing nothing then.
    package func replace(_ files: [TLSCertificateFiles]) throws(AditError) {
        var entries: [CertificateFile] = []
        for pair in files { entries.append(try CertificateFile(pair, protocols: protocols)) }
        state.withLockedValue { state in
            state.entries = entries
            state.settle()
        }
    }

    /// Takes up files that changed; those that cannot be used leave the old certificate in place. Reads files: not for
    /// an event loop.
    package func refresh(at now: UnixTime) {
        let entries = state.withLockedValue { $0.entries }
        for entry in entries where entry.hasChanged {
            var changed = entry
            do throws(AditError) {
                try changed.readAgain(protocols: protocols)
                let until = changed.certificate.notAfter - now.seconds
                log.notice(
                    "certificate read again, valid for \(Refusal.ago(.seconds(until)).english)",
                    metadata: ["file": "\(changed.files.certificate)"]
                )
            } catch {
                let why = error.why.first?.english ?? ""
                log.error("\(error.what.english): \(why); the earlier certificate stays in use")
            }
            let settled = changed
            state.withLockedValue { state in
                // A reload may have replaced the list meanwhile.
                guard let index = state.entries.firstIndex(where: { $0.files == settled.files }) else { return }
                state.entries[index] = settled
                state.settle()
            }
        }
        remind(at: now)
    }

    /// Warns of what its owner should know of, at most once a day.
    package func remind(at now: UnixTime) {
        let remarks = state.withLockedValue { state -> [Text] in
            guard now.seconds - state.lastRemarks.seconds >= Self.reminderInterval else { return [] }
            state.lastRemarks = now
            return state.entries.flatMap { $0.remarks(at: now) }
        }
        for remark in remarks { log.warning("\(remark.english)") }
    }

    /// What `adit server status` tells of each.
    func status(at now: UnixTime) -> [ServerStatus.Certificate] {
        state.withLockedValue { $0.entries }.map { entry in
            let problem = entry.problem.map { [$0.what] + $0.why } ?? []
            return ServerStatus.Certificate(
                names: entry.certificate.names + entry.certificate.addresses.map(\.description),
                expires: entry.certificate.notAfter,
                file: entry.files.certificate,
                remarks: (problem + entry.remarks(at: now)).map {
                    ServerStatus.Certificate.Remark(en: $0.english, zh: $0.chinese)
                }
            )
        }
    }
}
