// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import CExpat

/// Builds the tree of one document from Expat's events, within bounds.
///
/// Safe although it stores Expat's parser: Expat calls back into the object that `read` keeps alive for the length of the
/// call, and nothing of Expat's outlives that.
@safe final class XMLTreeReader {
    private var open: [XMLElement] = []
    private var root: XMLElement?
    private var fault: XMLFault?
    private var elementCount = 0
    private var textByteCount = 0
    private var parser: XML_Parser?

    func read(_ bytes: RawSpan) throws(XMLFault) -> XMLElement {
        guard let parser = unsafe XML_ParserCreate(nil) else { throw .malformed(line: 0) }
        unsafe self.parser = parser
        defer {
            unsafe XML_ParserFree(parser)
            unsafe self.parser = nil
        }
        unsafe XML_SetUserData(parser, Unmanaged.passUnretained(self).toOpaque())
        unsafe XML_SetElementHandler(
            parser,
            { reader, name, attributes in
                unsafe XMLTreeReader.of(reader)?.begin(name, attributes)
            },
            { reader, _ in
                unsafe XMLTreeReader.of(reader)?.end()
            }
        )
        unsafe XML_SetCharacterDataHandler(parser) { reader, characters, count in
            unsafe XMLTreeReader.of(reader)?.append(characters, Int(count))
        }
        unsafe XML_SetStartDoctypeDeclHandler(parser) { reader, _, _, _, _ in
            unsafe XMLTreeReader.of(reader)?.stop(.documentType)
        }
        // Unreachable without a document type; refused all the same, should a parser think otherwise.
        unsafe XML_SetEntityDeclHandler(parser) { reader, _, _, _, _, _, _, _, _ in
            unsafe XMLTreeReader.of(reader)?.stop(.documentType)
        }
        unsafe XML_SetSkippedEntityHandler(parser) { reader, _, _ in
            unsafe XMLTreeReader.of(reader)?.stop(.documentType)
        }
        let status = unsafe bytes.withUnsafeBytes { buffer in
            unsafe XML_Parse(
                parser,
                buffer.baseAddress?.assumingMemoryBound(to: CChar.self),
                CInt(buffer.count),
                CInt(XML_TRUE)
            )
        }
        if let fault { throw fault }
        guard status == XML_STATUS_OK, let root else {
            throw .malformed(line: unsafe Int(clamping: XML_GetCurrentLineNumber(parser)))
        }
        return root
    }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> XMLTreeReader? {
        guard let pointer = unsafe pointer else { return nil }
        return unsafe Unmanaged<XMLTreeReader>.fromOpaque(pointer).takeUnretainedValue()
    }

    private func stop(_ fault: XMLFault) {
        guard self.fault == nil else { return }
        self.fault = fault
        _ = unsafe XML_StopParser(parser, XML_Bool(XML_FALSE))
    }

    private func begin(_ name: UnsafePointer<CChar>?, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?) {
        guard fault == nil, let name = unsafe name else { return }
        elementCount += 1
        guard elementCount <= XMLElement.elementLimit else { return stop(.tooLarge(.elements)) }
        guard open.count < XMLElement.depthLimit else { return stop(.tooLarge(.depth)) }
        let whole = unsafe String(cString: name)
        textByteCount += whole.utf8.count
        var index = 0
        while let attributes = unsafe attributes, let each = unsafe attributes[index] {
            textByteCount += unsafe String(cString: each).utf8.count
            index += 1
        }
        guard textByteCount <= XMLElement.textByteLimit else { return stop(.tooLarge(.text)) }
        open.append(
            XMLElement(String(whole[(whole.lastIndex(of: ":").map { whole.index(after: $0) } ?? whole.startIndex)...]))
        )
    }

    private func end() {
        guard fault == nil, var element = open.popLast() else { return }
        element.text = Self.trimmed(element.text)
        if open.isEmpty {
            root = element
        } else {
            open[open.count - 1].children.append(element)
        }
    }

    private func append(_ characters: UnsafePointer<CChar>?, _ count: Int) {
        guard fault == nil, !open.isEmpty, let characters = unsafe characters else { return }
        textByteCount += count
        guard textByteCount <= XMLElement.textByteLimit else { return stop(.tooLarge(.text)) }
        let text = unsafe UnsafeRawBufferPointer(start: characters, count: count)
        unsafe open[open.count - 1].text += String(decoding: text, as: UTF8.self)
    }

    private static func trimmed(_ text: String) -> String {
        let isSpace = { (character: Unicode.Scalar) in [" ", "\t", "\n", "\r"].contains(character) }
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !isSpace($0) }),
            let last = scalars.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(scalars[first...last])
    }
}
