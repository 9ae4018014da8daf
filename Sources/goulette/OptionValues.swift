// SPDX-License-Identifier: Apache-2.0
//
// OptionValues.swift
// Values of other targets as they are written on the command line.

public import ArgumentParser
public import KafkaClient
public import Records

extension Acknowledgement: ExpressibleByArgument {
    /// Reads `0`, `1`, `all` or `-1`.
    public init?(argument: String) {
        switch argument {
        case "0", "none": self = .none
        case "1", "leader": self = .leader
        case "all", "-1": self = .all
        default: return nil
        }
    }

    /// How it is written.
    public var defaultValueDescription: String {
        switch self {
        case .none: "0"
        case .leader: "1"
        case .all: "all"
        }
    }
}

extension CompressionCodec: ExpressibleByArgument {
    /// Reads a codec's name.
    public init?(argument: String) { self.init(name: argument) }

    /// How it is written.
    public var defaultValueDescription: String { name }
}

/// `key=value` on the command line.
struct Assignment: ExpressibleByArgument {
    let name: String
    let value: String

    init?(argument: String) {
        guard let separator = argument.firstIndex(of: "="), separator != argument.startIndex else { return nil }
        name = String(argument[..<separator])
        value = String(argument[argument.index(after: separator)...])
    }
}
