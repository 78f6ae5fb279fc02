// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CLibFuzzer
import Glibc

// `fuzz --list`, or DECODER=Name and libFuzzer's own arguments; the environment reaches the processes it starts itself.

nonisolated(unsafe) var chosen: ([UInt8]) -> Void = { _ in }

/// libFuzzer also asks for its callback by this name.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    chosen([UInt8](UnsafeBufferPointer(start: data, count: size)))
    return 0
}

let decoders = WireDecoders.all
    .merging(CryptoDecoders.all) { $1 }
    .merging(TunnelDecoders.all) { $1 }
    .merging(ConfigurationDecoders.all) { $1 }
    .merging(TraversalDecoders.all) { $1 }

guard let name = getenv("DECODER").map({ String(cString: $0) }), let decoder = decoders[name] else {
    print(decoders.keys.sorted().joined(separator: "\n"))
    exit(CommandLine.arguments.dropFirst() == ["--list"] ? 0 : 2)
}
chosen = decoder

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(LLVMFuzzerRunDriver(&count, &arguments, testOneInput))
