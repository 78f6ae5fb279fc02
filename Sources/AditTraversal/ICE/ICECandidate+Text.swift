// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// The text form: `candidate:…` of SDP (RFC 8839 section 5.1), with `tcptype` (RFC 6544 section 4.5).
extension ICECandidate: CustomStringConvertible {
    /// The longest text that is read, in bytes.
    package static let textByteLimit = 512

    /// The candidate as SDP writes it, without `a=`. That a router promised it is an extension, `x-mapped 1`.
    package var description: String {
        var text = "candidate:\(foundation) \(component) \(transport.rawValue) \(priority) "
        text += "\(endpoint.address) \(endpoint.port) typ \(type.rawValue)"
        if let related { text += " raddr \(related.address) rport \(related.port)" }
        if let tcpType { text += " tcptype \(tcpType.rawValue)" }
        if isPortMapped { text += " x-mapped 1" }
        return text
    }

    /// Reads a candidate, with or without `a=` in front; nil for anything else, for host names, and for a transport or
    /// type that is not known.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.textByteLimit else { return nil }
        var line = Substring(text)
        if line.hasPrefix("a=") { line = line.dropFirst(2) }
        guard line.hasPrefix("candidate:") else { return nil }
        let words = line.dropFirst(10).split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 8, words.count & 1 == 0, (1...32).contains(words[0].utf8.count),
            words[0].utf8.allSatisfy(ICECredentials.isICECharacter),
            let component = Self.number(words[1], 1...256),
            let transport = ICETransport(rawValue: words[2].lowercased()),
            let priority = Self.number(words[3], 1...0x7FFF_FFFF), let address = IPAddress(words[4]),
            let port = Self.number(words[5], 0...65535), words[6] == "typ",
            let type = ICECandidateType(rawValue: String(words[7]))
        else { return nil }
        self.init(
            foundation: String(words[0]),
            component: UInt16(component),
            transport: transport,
            priority: priority,
            endpoint: IPEndpoint(address.unmapped, UInt16(port)),
            type: type
        )
        var relatedAddress: IPAddress?
        for index in stride(from: 8, to: words.count, by: 2) {
            let value = words[index + 1]
            switch words[index] {
            case "raddr":
                guard let address = IPAddress(value) else { return nil }
                relatedAddress = address.unmapped
            case "rport":
                guard let port = Self.number(value, 0...65535) else { return nil }
                if let relatedAddress { related = IPEndpoint(relatedAddress, UInt16(port)) }
            case "tcptype":
                guard let tcpType = ICETCPType(rawValue: String(value)) else { return nil }
                self.tcpType = tcpType
            case "x-mapped": isPortMapped = value == "1" && type == .serverReflexive
            default: continue
            }
        }
        guard (transport == .tcp) == (tcpType != nil) else { return nil }
    }

    private static func number(_ text: Substring, _ range: ClosedRange<UInt32>) -> UInt32? {
        guard (1...10).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = UInt32(text), range.contains(number)
        else { return nil }
        return number
    }
}
