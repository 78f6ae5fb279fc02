// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

/// Values and places as the readers of the four formats give them.
@Suite struct ReaderTests {
    /// `path@line:column=value` for every leaf, `path@line:column` for every key.
    private static func describe(_ text: String, _ file: String) throws -> [String] {
        let root = try ConfigurationFile.loadTree(bytes: Array(text.utf8), fileName: file).root
        var lines: [String] = []
        walk(root, "", &lines)
        return lines
    }

    private static func walk(_ node: ConfigurationNode, _ path: String, _ lines: inout [String]) {
        switch node.value {
        case .table(let table):
            for entry in table.entries {
                let inner = path.isEmpty ? entry.key : "\(path).\(entry.key)"
                lines.append("\(inner)@\(entry.keyPosition)")
                walk(entry.node, inner, &lines)
            }
        case .array(let elements):
            for (index, element) in elements.enumerated() { walk(element, "\(path)[\(index)]", &lines) }
        case .string(let text): lines.append("\(path)@\(node.position)=\"\(text)\"")
        case .untyped(let text): lines.append("\(path)@\(node.position)=\(text)")
        case .dateTime(let text): lines.append("\(path)@\(node.position)=date \(text)")
        case .integer(let number): lines.append("\(path)@\(node.position)=\(number)")
        case .number(let number): lines.append("\(path)@\(node.position)=\(number)")
        case .boolean(let truth): lines.append("\(path)@\(node.position)=\(truth)")
        case .null: lines.append("\(path)@\(node.position)=null")
        }
    }

    @Test func tomlKeysAndValuesHaveTheirPlaces() throws {
        let text = """
            # note [ { "
            \ta.b . "c d" = 1
            'q.r' = 'x' # after
            list = [ # one
            \t"a", { k = true, l.m = 2 },
              [1, 2.5,],
            ]
            multi = \"\"\"
            first "quoted" \\" ]
            last\"\"\"\"\"
            raw = '''
            no \\ escape ''x'
            '''
            when = 1979-05-27 07:32:00
            [t.u]
            é = 1 # no bare key, so quoted below
            """.replacingFirst("é = 1", with: "\"é\" = { z = 1 }")
        #expect(
            try Self.describe(text, "a.toml") == [
                "a@2:2", "a.b@2:4", "a.b.c d@2:8", "a.b.c d@2:16=1",
                "q.r@3:1", "q.r@3:9=\"x\"",
                "list@4:1", "list[0]@5:2=\"a\"", "list[1].k@5:9", "list[1].k@5:13=true", "list[1].l@5:19",
                "list[1].l.m@5:21", "list[1].l.m@5:25=2", "list[2][0]@6:4=1", "list[2][1]@6:7=2.5",
                "multi@8:1", "multi@8:9=\"first \"quoted\" \" ]\nlast\"\"\"",
                "raw@11:1", "raw@11:7=\"no \\ escape ''x'\n\"",
                "when@14:1", "when@14:8=date 1979-05-27T07:32:00",
                "t@15:2", "t.u@15:4", "t.u.é@16:1", "t.u.é.z@16:9", "t.u.é.z@16:13=1",
            ]
        )
    }

    @Test func tomlTablesOfAListHaveTheirOwnPlaces() throws {
        let text = """
            x = 1
            [[p]]
            n = "a"
            [p.s]
            k = 1
            [[p.q]]
            z = 1
            [[p.q]]
            z = 2
            [[p]]
            n = "b"
            s.k = 2
            s.l = 3
            [ y . "z" ]
            """
        #expect(
            try Self.describe(text, "a.toml") == [
                "x@1:1", "x@1:5=1", "p@2:3",
                "p[0].n@3:1", "p[0].n@3:5=\"a\"", "p[0].s@4:4", "p[0].s.k@5:1", "p[0].s.k@5:5=1",
                "p[0].q@6:5", "p[0].q[0].z@7:1", "p[0].q[0].z@7:5=1", "p[0].q[1].z@9:1", "p[0].q[1].z@9:5=2",
                "p[1].n@11:1", "p[1].n@11:5=\"b\"", "p[1].s@12:1", "p[1].s.k@12:3", "p[1].s.k@12:7=2",
                "p[1].s.l@13:3", "p[1].s.l@13:7=3",
                "y@14:3", "y.z@14:7",
            ]
        )
    }

    @Test func tomlValuesAreThoseOfTheStandard() throws {
        let text = """
            a = "\\u00e9\\U0001F600\\t\\\\\\""
            b = 0xFF
            c = 1_000
            d = -9223372036854775808
            e = 1e3
            f = "中文 ключ"
            g = ""
            h = []
            i = {}
            """
        #expect(
            try Self.describe(text, "a.toml") == [
                "a@1:1", "a@1:5=\"é😀\t\\\"\"", "b@2:1", "b@2:5=255", "c@3:1", "c@3:5=1000",
                "d@4:1", "d@4:5=-9223372036854775808", "e@5:1", "e@5:5=1000.0", "f@6:1", "f@6:5=\"中文 ключ\"",
                "g@7:1", "g@7:5=\"\"", "h@8:1", "i@9:1",
            ]
        )
    }

    @Test func yamlKindsAreThoseThatFRPUses() throws {
        let text = """
            a: 1
            b: "1"
            c: yes
            d: 0x1F
            e: 1.5
            f: ~
            g: 1.2.3.4
            h: [x, 'y', 7]
            i:
              - j: |
                  two
                  lines
                k: -5
            l: 2001-01-01
            m: 20000-20999
            n: 0x
            o: "中"
            """
        #expect(
            try Self.describe(text, "a.yaml") == [
                "a@1:1", "a@1:4=1", "b@2:1", "b@2:4=\"1\"", "c@3:1", "c@3:4=true", "d@4:1", "d@4:4=31",
                "e@5:1", "e@5:4=1.5", "f@6:1", "f@6:4=null", "g@7:1", "g@7:4=\"1.2.3.4\"",
                "h@8:1", "h[0]@8:5=\"x\"", "h[1]@8:8=\"y\"", "h[2]@8:13=7",
                "i@9:1", "i[0].j@10:5", "i[0].j@10:8=\"two\nlines\n\"", "i[0].k@13:5", "i[0].k@13:8=-5",
                "l@14:1", "l@14:4=\"2001-01-01\"", "m@15:1", "m@15:4=\"20000-20999\"", "n@16:1", "n@16:4=\"0x\"",
                "o@17:1", "o@17:4=\"中\"",
            ]
        )
    }

    @Test func yamlMergesMappings() throws {
        let text = """
            .base: &base
              type: tcp
              port: 1
            p:
              - <<: *base
                name: a
                port: 2
              - name: b
                <<: [*base]
            q: *base
            """
        let lines = try Self.describe(text, "a.yaml")
        #expect(lines.contains("p[0].port@7:11=2"))
        #expect(lines.contains("p[0].type@2:9=\"tcp\""))
        #expect(lines.contains("p[1].port@3:9=1"))
        #expect(lines.contains("q.type@2:9=\"tcp\""))
    }

    @Test func frpIgnoresYAMLKeysWithADot() throws {
        let text = """
            .common: &common
              type: tcp
              localIP: 10.0.0.1
            serverAddr: a.example
            proxies:
              - name: a
                localPort: 1
                <<: *common
              - {name: b, localPort: 2, type: http, subdomain: b}
            """
        let client = try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: "frpc.yaml").configuration
        #expect(client.proxies.map(\.name) == ["a", "b"])
        #expect(client.proxies[0].localIP == "10.0.0.1")
        #expect(client.proxies[1].type == .http)
    }

    @Test func jsonIsReadToTheLetter() throws {
        let text = #"{"a": "\ud83d\ude00\/\n\u0041", "b": [1, -2.5e1, true, null], "c": {"d": {}}}"#
        #expect(
            try Self.describe(text, "a.json") == [
                "a@1:2", "a@1:7=\"😀/\nA\"", "b@1:33", "b[0]@1:39=1", "b[1]@1:42=-25.0", "b[2]@1:50=true",
                "b[3]@1:56=null", "c@1:63", "c.d@1:69",
            ]
        )
    }

    @Test func iniIsReadAsFRPReadsIt() throws {
        let text = """
            ; note
            [common]
            a = 1 ; not a comment
            b: two words
            c = "quoted = text"
            flag
            d = one \\
                two
            e = \"\"\"several
            lines\"\"\"
              f=`raw "x"`
            [ web ] # note
            a = x
            [common]
            a = 2
            """
        #expect(
            try Self.describe(text, "a.ini") == [
                "common@2:1", "common.a@3:1", "common.a@3:5=1 ; not a comment", "common.b@4:1",
                "common.b@4:4=two words", "common.c@5:1", "common.c@5:5=quoted = text", "common.flag@6:1",
                "common.flag@6:1=true", "common.d@7:1", "common.d@7:5=one two", "common.e@9:1",
                "common.e@9:5=several\nlines", "common.f@11:3", "common.f@11:5=raw \"x\"", "common.a@15:1",
                "common.a@15:5=2", "web@12:1", "web.a@13:1", "web.a@13:5=x",
            ]
        )
    }

    @Test(
        arguments: [
            ("[common]\nbind_port = 1", ConfigurationFormat.ini), ("bindPort = 1", .toml), ("bindPort: 1", .yaml),
            ("  { \"a\": 1 }", .json), ("# c\n\n[[proxies]]\n", .toml), ("---\na: 1", .yaml), ("", .toml),
            ("a.b = \"x: y\"", .toml), ("a: b = c", .yaml), ("\r\n[common] \r\nx = 1\r\n", .ini), ("- a\n- b", .yaml),
        ]
    )
    func formatIsFoundFromTheText(_ text: String, _ format: ConfigurationFormat) throws {
        #expect(try ConfigurationFile.loadTree(bytes: Array(text.utf8), fileName: "/etc/frp/config").format == format)
    }

    @Test func formatIsFoundFromTheName() {
        #expect(ConfigurationFormat(fileName: "/a.b/frpc") == nil)
        #expect(ConfigurationFormat(fileName: ".toml") == nil)
        #expect(ConfigurationFormat(fileName: "x.YML") == .yaml)
        #expect(ConfigurationFormat(fileName: "/etc/frps.ini") == .ini)
        #expect(ConfigurationFormat(fileName: "frpc.conf") == nil)
    }
}

extension String {
    func replacingFirst(_ part: String, with other: String) -> String {
        guard let range = firstRange(of: part) else { return self }
        return replacingCharacters(in: range, with: other)
    }

    private func firstRange(of part: String) -> Range<String.Index>? {
        ranges(of: part).first
    }

    private func replacingCharacters(in range: Range<String.Index>, with other: String) -> String {
        String(self[..<range.lowerBound]) + other + String(self[range.upperBound...])
    }
}
