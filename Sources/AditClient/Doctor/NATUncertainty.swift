// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// Something in a report that is uncertain or missing, and why.
package struct NATUncertainty: Sendable, Hashable {
    /// The member of `--json` that it is about, such as `udp.filtering`.
    package var name: String
    /// What it is about, for a person.
    package var what: Text
    /// Why.
    package var why: NATDoubt
    /// Whether there is a value all the same.
    package var hasValue: Bool
}

extension NATReport {
    /// What is uncertain, without what was not asked for or does not apply.
    package var doubts: [NATUncertainty] {
        var found: [NATUncertainty] = []
        func look<Value>(_ finding: NATFinding<Value>, _ name: String, _ what: Text) {
            guard let why = finding.doubt, why != .notMeasured, why != .notApplicable, why != .noServer else { return }
            found.append(NATUncertainty(name: name, what: what, why: why, hasValue: finding.value != nil))
        }
        look(access, "access", Text("what passes", zh: "可通过的流量"))
        look(captivePortal, "captive_portal", Text("sign-in page", zh: "登录页面"))
        for (report, name, label) in [(udp, "udp", "UDP"), (tcp, "tcp", "TCP"), (udpV6, "ipv6.udp", "IPv6")] {
            look(report.reach, name + ".reachable", Text("\(label) out", zh: "\(label) 出站"))
            guard report.reach.value == true else { continue }
            look(report.isTranslated, name + ".translated", Text("\(label) translation", zh: "\(label) 地址转换"))
            look(report.mapping, name + ".mapping", Text("\(label) mapping", zh: "\(label) 映射"))
            look(report.filtering, name + ".filtering", Text("\(label) filtering", zh: "\(label) 过滤"))
            look(report.allocation, name + ".allocation", Text("\(label) ports", zh: "\(label) 端口分配"))
            look(report.pooling, name + ".pooling", Text("\(label) addresses", zh: "\(label) 地址池"))
            look(report.hairpin, name + ".hairpin", Text("\(label) hairpin", zh: "\(label) 回环"))
            look(report.lifetime, name + ".lifetime", Text("\(label) lifetime", zh: "\(label) 存活时间"))
        }
        look(natCount, "nats", Text("number of NATs", zh: "NAT 层数"))
        look(isCarrierGrade, "carrier_nat", Text("carrier's NAT", zh: "运营商 NAT"))
        return found
    }
}
