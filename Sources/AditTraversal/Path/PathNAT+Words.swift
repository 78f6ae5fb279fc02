// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

extension PathNAT {
    /// What is known of it, `port-restricted cone · IPv6 · 203.0.113.7`.
    package var words: Text {
        var parts: [Text] = []
        if let kind = udp.kind { parts.append(kind.name) }
        if udp.isSymmetric, let allocation = udp.allocation { parts.append(allocation.meaning) }
        if let kind = tcp.kind, kind != udp.kind { parts.append(Text(verbatim: "TCP ").followed(by: kind.name)) }
        if isCarrierGrade == true { parts.append(Text("carrier NAT", zh: "运营商 NAT")) }
        if hasIPv6 == true { parts.append(Text(verbatim: "IPv6")) }
        if opensPorts == true { parts.append(Text("opens ports", zh: "可开放端口")) }
        if parts.isEmpty { parts.append(Text("NAT not known", zh: "NAT 类型未知")) }
        if let address { parts.append(Text(verbatim: address.description)) }
        return parts.dropFirst().reduce(parts[0]) { $0.followed(by: Text(verbatim: " · ")).followed(by: $1) }
    }
}

extension Text {
    fileprivate func followed(by other: Text) -> Text {
        Text("\(english)\(other.english)", zh: "\(chinese)\(other.chinese)")
    }
}
