// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct XMLElementTests {
    private func decode(_ text: String) throws(XMLFault) -> XMLElement {
        try XMLElement.decode(Array(text.utf8).span.bytes)
    }

    @Test func elementsAndTextAreRead() throws {
        let element = try decode(
            "<?xml version='1.0'?><a:r xmlns:a='x' k='v'> <b>1 &amp; <![CDATA[<2>]]></b>\n<c/></a:r>"
        )
        #expect(element == XMLElement("r", children: [XMLElement("b", text: "1 & <2>"), XMLElement("c")]))
        #expect(element.text(of: "b") == "1 & <2>")
    }

    @Test func otherEncodingsAreRead() throws {
        let latin = Array("<?xml version='1.0' encoding='ISO-8859-1'?><r>caf".utf8) + [0xE9] + Array("</r>".utf8)
        #expect(try XMLElement.decode(latin.span.bytes).text == "café")
        var wide: [UInt8] = [0xFE, 0xFF]
        for unit in "<?xml version='1.0' encoding='UTF-16'?><r>中</r>".utf16 { wide.appendBigEndian(unit) }
        #expect(try XMLElement.decode(wide.span.bytes).text == "中")
        let broken = Array("<r>".utf8) + [0xC3, 0x28] + Array("</r>".utf8)
        #expect(throws: XMLFault.malformed(line: 1)) { try XMLElement.decode(broken.span.bytes) }
        #expect(throws: XMLFault.self) { try decode("<?xml version='1.0' encoding='EBCDIC-X'?><r/>") }
    }

    @Test(arguments: [
        "<!DOCTYPE r><r/>",
        "<!DOCTYPE r [<!ENTITY a 'x'>]><r>&a;</r>",
        "<!DOCTYPE r [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><r>&a;</r>",
        "<!DOCTYPE r SYSTEM 'http://192.0.2.1/x.dtd'><r/>",
        "<!DOCTYPE r [<!ENTITY % p SYSTEM 'http://192.0.2.1/'> %p;]><r/>",
        """
        <!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>
        <!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'><!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;'>]><l>&e;</l>
        """,
    ])
    func aDocumentTypeIsRefused(text: String) {
        #expect(throws: XMLFault.documentType) { try decode(text) }
    }

    @Test func anEntityThatWasNotDeclaredIsRefused() {
        #expect(throws: XMLFault.malformed(line: 1)) { try decode("<r>&lol;</r>") }
    }

    @Test func whatIsTooMuchIsRefused() {
        #expect(throws: XMLFault.tooLarge(.depth)) { try decode(String(repeating: "<a>", count: 33)) }
        #expect(throws: XMLFault.tooLarge(.elements)) {
            try decode("<r>" + String(repeating: "<a/>", count: 4096) + "</r>")
        }
        #expect(throws: XMLFault.tooLarge(.text)) {
            try decode("<r>" + String(repeating: "x", count: 128 * 1024) + "</r>")
        }
        #expect(throws: XMLFault.tooLarge(.text)) {
            try decode("<r a='" + String(repeating: "x", count: 128 * 1024) + "'/>")
        }
        #expect(throws: XMLFault.tooLarge(.bytes)) { try decode(String(repeating: " ", count: 256 * 1024 + 1)) }
    }

    @Test func aCutDocumentIsRefusedAtEveryByte() {
        let bytes = Array("<r a='b'><c>text</c></r>".utf8)
        for count in 0..<bytes.count {
            #expect(throws: XMLFault.self) { try XMLElement.decode(Array(bytes.prefix(count)).span.bytes) }
        }
    }

    @Test func flippedBitsNeverTrap() {
        withEachBitFlipped(Array("<?xml version='1.0'?><r a='b'><c>t&amp;t</c></r>".utf8)) {
            PortMappingDecoders.xml($0)
        }
    }

    @Test func textIsEscaped() throws {
        let text = "a<b>&\"c\"\u{1}"
        #expect(try decode("<r>" + XMLElement.escape(text) + "</r>").text == "a<b>&\"c\"")
    }
}
