// SPDX-License-Identifier: Apache-2.0
//
// Ledger.swift
// A state machine that notices a command that is applied twice, left out, or out of order: accounts that are added to.

import LogStore
import Model

@testable import Replication

/// Accounts by name.
///
/// A command is `name+amount`.
final class Ledger: StateMachineLogic {
    private(set) var accounts: [String: Int] = [:]
    private(set) var applied: [LogIndex] = []
    private(set) var terms: [Term] = []
    private(set) var failures: [StoreError] = []
    private(set) var resignations = 0
    private(set) var reloads: [LogIndex] = []
    var onLeading: (() -> Void)?
    /// Where the state is stored, to load it again.
    var store: IndexDatabase?

    /// The ledger as it was stored.
    convenience init(loading index: IndexDatabase) throws {
        self.init()
        try index.scan(in: .controller, of: .controller) { key, value in
            self.accounts[String(decoding: key, as: UTF8.self)] = Int(String(decoding: value, as: UTF8.self))
            return true
        }
    }

    static func command(_ account: String, _ amount: Int) -> [UInt8] { Array("\(account)+\(amount)".utf8) }

    func apply(_ command: [UInt8], at index: LogIndex) -> [StateWrite] {
        let parts = String(decoding: command, as: UTF8.self).split(separator: "+")
        let sum = accounts[String(parts[0]), default: 0] + (Int(parts[1]) ?? 0)
        accounts[String(parts[0])] = sum
        precondition(applied.last.map { $0 < index } ?? true, "\(index) after \(applied)")
        applied.append(index)
        return [StateWrite(key: Array(parts[0].utf8), value: Array("\(sum)".utf8))]
    }

    func stateMachineLeads(term: Term) {
        terms.append(term)
        onLeading?()
    }

    func stateMachineReloads(at index: LogIndex) {
        precondition(applied.last.map { $0 <= index } ?? true, "\(index) after \(applied)")
        reloads.append(index)
        guard let store, let stored = try? Ledger(loading: store) else { return }
        accounts = stored.accounts
        applied.append(index)
    }

    func stateMachineFollows() { resignations += 1 }
    func stateMachineFailed(_ error: StoreError) { failures.append(error) }
}
