// SPDX-License-Identifier: Apache-2.0
//
// JoinFloor+Reports.swift
// Where a replica begins that is taken into a group, as leaders report it and the controller keeps it.

package import LogStore

extension JoinFloor {
    /// The floor after one more report; never lower than either.
    package func raised(to other: JoinFloor?) -> JoinFloor {
        guard let other else { return self }
        return JoinFloor(term: max(term, other.term), index: max(index, other.index))
    }
}

extension JoinFloor? {
    /// Takes one more report into account.
    mutating func raise(to other: JoinFloor?) { self = other?.raised(to: self) ?? self }
}
