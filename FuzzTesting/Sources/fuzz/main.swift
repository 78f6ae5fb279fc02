// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CLibFuzzer
import Glibc

// fuzz --list, or fuzz NAME and libFuzzer's own arguments.

nonisolated(unsafe) var chosen: ([UInt8]) -> Void = { _ in }

let decoders = WireDecoders.all
    .merging(CryptoDecoders.all) { $1 }
    .merging(TunnelDecoders.all) { $1 }
    .merging(ConfigurationDecoders.all) { $1 }

guard CommandLine.arguments.count > 1, let decoder = decoders[CommandLine.arguments[1]] else {
    print(decoders.keys.sorted().joined(separator: "\n"))
    exit(CommandLine.arguments.dropFirst() == ["--list"] ? 0 : 2)
}
chosen = decoder

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { data, size in
        chosen([UInt8](UnsafeBufferPointer(start: data, count: size)))
        return 0
    }
)
