// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("The language of sites")
struct SiteSpecificationTests {
    @Test(
        "Every type has its rule and its name",
        arguments: [
            ("full", "full cone (EIM/EIF), keeps the port where it can"),
            ("addr", "address-restricted cone (EIM/ADF), keeps the port where it can"),
            ("port", "port-restricted cone (EIM/APDF), keeps the port where it can"),
            ("port-r", "port-restricted cone (EIM/APDF), random ports"),
            ("sym", "symmetric (APDM/APDF), random ports"),
            ("symblk", "symmetric (APDM/APDF), random ports of 20000-22047"),
            ("seq2", "symmetric (APDM/APDF), each new port +2"),
            ("adm", "symmetric (ADM/ADF), random ports"),
            ("fw", "public address behind a firewall that lets in only answers"),
            ("web", "only TCP to ports 80 and 443 gets out"),
        ]
    )
    func types(text: String, words: String) throws {
        let site = try SiteSpecification(text)
        #expect(site.description == text)
        #expect(site.words.map(\.english) == ["router: " + words])
        #expect(site.router.udp == site.router.tcp)
        #expect(site.words.allSatisfy { $0.chinese != $0.english })
    }

    @Test(
        "What is written out reads back as the same site",
        arguments: [
            ("udp=full,tcp=sym,unsol=rst,hairpin=1", "udp=full,tcp=sym,unsol=rst,hairpin=1"),
            ("unsol=rst , port", "port,unsol=rst"),
            ("nat=SYM", "sym"),
            ("full-cone", "full"), ("address-restricted", "addr"), ("port-restricted", "port"), ("symmetric", "sym"),
            ("map=eim,filter=adf,alloc=seq:3", "eim/adf/seq:3"),
            ("sym,filter=eif", "apdm/eif/random"),
            ("map=apdm,filter=apdf,alloc=random", "sym"),
            ("tcp_map=apdm", "udp=port,tcp=apdm/apdf/keep"),
            ("sym,block=20000-22047", "symblk"),
            ("alloc=block:1024-1535,map=adm", "adm/apdf/block:1024-1535"),
            ("seq,block=20000-20100", "seq,block=20000-20100"),
            ("alloc=seq:-2", "eim/apdf/seq:-2"),
            (
                "udp_to=20,tcp_to=100,syn_to=5,timer=absolute,refresh=out",
                "port,udp_to=20,tcp_to=100,syn_to=5,timer=absolute,refresh=out"
            ),
            ("pool=2,maxflows=64,icmp=drop,mtu=1400", "port,pool=2,maxflows=64,icmp=drop,mtu=1400"),
            ("port,cgn=sym", "port,cgn=sym"),
            ("port,cgn=seq,block=3000-4000", "port,cgn=seq,cgn_block=3000-4000"),
            ("port,cgn_udp=sym", "port,cgn_udp=sym,cgn_tcp=port"),
            ("full,hairpin=1,cgn=full,cgn_hairpin=0", "full,hairpin=1,cgn=full,cgn_hairpin=0"),
            ("hairpin=1,cgn=full", "port,hairpin=1,cgn=full"),
            ("seq,block=3000-4000,cgn=sym", "seq,block=3000-4000,cgn=sym"),
            ("maxflows=3,cgn=port,cgn_maxflows=0", "port,maxflows=3,cgn=port,cgn_maxflows=0"),
            ("port,cgn=port,cgn_map=adm,cgn_udp_filter=eif", "port,cgn_udp=adm/eif/keep,cgn_tcp=adm/apdf/keep"),
        ]
    )
    func canonical(text: String, canonical: String) throws {
        let site = try SiteSpecification(text)
        #expect(site.description == canonical)
        #expect(try SiteSpecification(canonical) == site)
    }

    @Test("Every rule of the grid reads back")
    func grid() throws {
        #expect(Set(NATRule.grid).count == 36)
        for rule in NATRule.grid {
            let site = SiteSpecification(rule)
            #expect(try SiteSpecification(site.description) == site)
            let spelled = "map=\(rule.mapping.word),filter=\(rule.filtering.word),alloc=\(rule.allocation.word)"
            #expect(try SiteSpecification(spelled) == site)
        }
    }

    @Test(
        "A mistake is named with its place and the nearest word",
        arguments: [
            ("prot", "prot", 1, "port"),
            ("udp=full,tcp=symetric", "tcp=symetric", 10, "tcp=symmetric"),
            ("port,unsol=rts", "unsol=rts", 6, "unsol=rst"),
            ("port, hairpn=1", "hairpn=1", 7, "hairpin=1"),
            ("port,cgn_hairpin=1", "cgn_hairpin=1", 6, nil),
            ("port,hairpin", "hairpin", 6, nil),
            ("udp_to=0", "udp_to=0", 1, nil),
            ("udp_to=+5", "udp_to=+5", 1, nil),
            ("alloc=sequ", "alloc=sequ", 1, "alloc=seq"),
            ("alloc=seq:0", "alloc=seq:0", 1, nil),
            ("block=9-5", "block=9-5", 1, nil),
            ("public,map=eim", "map=eim", 8, nil),
            ("port,port", "port", 6, nil),
            ("port,,sym", "", 6, nil),
            ("", "", 1, nil),
            ("port,", "", 6, nil),
            ("eim/apdf/whatever", "eim/apdf/whatever", 1, nil),
        ]
    )
    func mistakes(text: String, word: String, position: Int, nearest: String?) {
        let error = #expect(throws: SiteSpecificationError.self) { try SiteSpecification(text) }
        #expect(error?.word == word)
        #expect(error?.position == position)
        #expect(error?.nearest == nearest)
        #expect(error?.error.code == .usage)
        #expect(error?.error.why.isEmpty == false)
    }

    @Test("A text of any length and any letters is read or refused")
    func anything() {
        var generator = SeededGenerator(seed: 4)
        let pieces = [
            "port", "cgn", "=", ",", "udp", "_", "tcp", "block", "1-2", "/", ":", "seq", "-", "9", "é", " ", "map",
        ]
        for _ in 0..<5000 {
            let text = (0..<Int.random(in: 0...12, using: &generator))
                .map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            guard let site = try? SiteSpecification(text) else { continue }
            #expect((try? SiteSpecification(site.description)) == site, "\(text)")
        }
        #expect(throws: SiteSpecificationError.self) { try SiteSpecification(String(repeating: "a", count: 5000)) }
    }
}
