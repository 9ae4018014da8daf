// SPDX-License-Identifier: Apache-2.0
//
// LogLine.swift
// One log line before it is rendered.

import Logging

/// The parts of a log line.
struct LogLine: Sendable {
    var level: Logger.Level
    var logger: String
    var message: String
    var fields: [(name: String, value: Value)]

    /// Metadata, as far as the two formats tell it apart.
    indirect enum Value: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        case text(String)
        case list([Value])
        case object([(String, Value)])

        init(stringLiteral value: String) { self = .text(value) }

        init(_ value: Logger.MetadataValue) {
            switch value {
            case .string(let text): self = .text(text)
            case .stringConvertible(let value): self = .text(value.description)
            case .array(let values): self = .list(values.map(Value.init))
            case .dictionary(let pairs):
                self = .object(pairs.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) })
            }
        }
    }
}
