// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

exit(await AditCommand.execute(CommandLineRewrite.arguments(of: CommandLine.arguments)))
