// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Reads blocks of snappy's raw format.
package enum SnappyDecompressor {
    /// Appends the text of one whole compressed block.
    ///
    /// The announced length is checked against `limit` before memory is taken for it. Throws `WireError.length` or
    /// `malformedCompression`; nothing is appended then.
    package static func decompress(
        _ block: RawSpan,
        limit: Int,
        into output: inout [UInt8]
    ) throws(WireError) {
        let (length, headerLength) = try announcedLength(block)
        guard length <= limit else { throw .length(Int64(length), limit: limit) }
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: length))
        let fault: Int? = unsafe output.withUnsafeMutableBytes { output in
            let text = unsafe UnsafeMutableRawBufferPointer(rebasing: output[start...])
            return unsafe block.withUnsafeBytes { source in
                unsafe expand(source, from: headerLength, to: text)
            }
        }
        if let fault {
            output.removeSubrange(start...)
            throw .malformedCompression(offset: fault)
        }
    }

    private static func announcedLength(_ block: RawSpan) throws(WireError) -> (length: Int, headerLength: Int) {
        var length = 0
        for index in 0..<min(5, block.byteCount) {
            let byte = block.byte(at: index)
            length |= Int(byte & 127) << (7 * index)
            if byte < 128 {
                guard length <= Int(UInt32.max) else { break }
                return (length, index + 1)
            }
        }
        throw .malformedCompression(offset: 0)
    }

    /// Expands all elements; returns the offset of the first that is not valid, or nil when the text is complete.
    private static func expand(
        _ source: UnsafeRawBufferPointer,
        from start: Int,
        to text: UnsafeMutableRawBufferPointer
    ) -> Int? {
        var input = start
        var written = 0
        while input < source.count {
            let element = input
            let tag = unsafe source[input]
            input += 1
            let extra = trailerLength(tag)
            guard input + extra <= source.count else { return element }
            var trailer = 0
            for index in 0..<extra { trailer |= unsafe Int(source[input + index]) << (8 * index) }
            input += extra
            if tag & 3 == 0 {
                let length = (extra == 0 ? Int(tag >> 2) : trailer) + 1
                guard length <= source.count - input, length <= text.count - written else { return element }
                unsafe UnsafeMutableRawBufferPointer(rebasing: text[written..<(written + length)])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[input..<(input + length)]))
                input += length
                written += length
            } else {
                let isShort = tag & 3 == 1
                let length = isShort ? Int(tag >> 2 & 7) + 4 : Int(tag >> 2) + 1
                let offset = isShort ? Int(tag >> 5) << 8 | trailer : trailer
                guard offset > 0, offset <= written, length <= text.count - written else { return element }
                unsafe copy(in: text, from: written - offset, to: written, length: length)
                written += length
            }
        }
        return written == text.count ? nil : source.count
    }

    /// How many bytes of length or offset follow a tag.
    private static func trailerLength(_ tag: UInt8) -> Int {
        switch tag & 3 {
        case 0: tag >> 2 < 60 ? 0 : Int(tag >> 2) - 59
        case 1: 1
        case 2: 2
        default: 4
        }
    }

    /// A copy may overlap itself: then it repeats the bytes that it has just written.
    private static func copy(
        in text: UnsafeMutableRawBufferPointer,
        from source: Int,
        to target: Int,
        length: Int
    ) {
        if target - source >= length {
            unsafe UnsafeMutableRawBufferPointer(rebasing: text[target..<(target + length)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: text[source..<(source + length)]))
        } else {
            for index in 0..<length { unsafe text[target + index] = text[source + index] }
        }
    }
}
