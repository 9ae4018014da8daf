// SPDX-License-Identifier: Apache-2.0
//
// LogLevels.swift
// Levels by logger name, changeable while the process runs.

import Logging
import Synchronization

/// The level of each logger: that of the longest configured name it stands below.
final class LogLevels: Sendable {
    /// The level of one logger name; handlers keep it and read it for every message.
    final class Cell: Sendable {
        private let rank: Atomic<Int>
        init(_ level: Logger.Level) { rank = Atomic(Self.rank(of: level)) }

        var level: Logger.Level {
            get { Logger.Level.allCases[rank.load(ordering: .relaxed)] }
            set { rank.store(Self.rank(of: newValue), ordering: .relaxed) }
        }

        private static func rank(of level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }
    }

    private struct State {
        var configured: [String: Logger.Level]
        var cells: [String: Cell] = [:]

        func level(of name: String) -> Logger.Level {
            var name = Substring(name)
            while !name.isEmpty {
                if let level = configured[String(name)] { return level }
                name = name.lastIndex(of: ".").map { name[..<$0] } ?? ""
            }
            return configured[""] ?? .info
        }
    }

    private let state: Mutex<State>

    init(root: Logger.Level) { state = Mutex(State(configured: ["": root])) }

    func cell(for name: String) -> Cell {
        state.withLock { state in
            if let cell = state.cells[name] { return cell }
            let cell = Cell(state.level(of: name))
            state.cells[name] = cell
            return cell
        }
    }

    func set(_ level: Logger.Level, for name: String) {
        state.withLock { state in
            state.configured[name] = level
            for (name, cell) in state.cells { cell.level = state.level(of: name) }
        }
    }
}
