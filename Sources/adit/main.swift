// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import Glibc
import NIOCore

ProcessMemory.keepFreed()
// Names that a resolver is slow with, and files that are copied for as long as a visit lasts, each keep a thread; NIO
// starts as many as there are cores, which may be one.
NIOSingletons.blockingPoolThreadCountSuggestion = max(System.coreCount, 8)

exit(await AditCommand.execute(CommandLineRewrite.arguments(of: CommandLine.arguments)))
