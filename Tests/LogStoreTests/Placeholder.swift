// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LogStore

@Suite struct LogStorePlaceholderTests {}
