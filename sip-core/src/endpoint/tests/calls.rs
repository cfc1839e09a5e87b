//! Whole calls between two endpoints: set up, refused, cancelled, hung up from either side.
//! Each ends with nothing left over.

use super::*;

#[test]
fn a_call_is_set_up_and_hung_up_by_the_caller() {
    let mut pair = Pair::new(1);
    let (caller, _) = call(&mut pair);
    hang_up(&mut pair, Side::A, caller);
    pair.drive();
    assert_eq!(
        pair.ladder(),
        ["A>INVITE", "B>100", "B>200", "A>ACK", "A>BYE", "B>200"]
    );
    assert_eq!(words(&mut pair, Side::A), ["ended localbye", "final 200"]);
    assert_eq!(words(&mut pair, Side::B), ["ended remote bye"]);
    pair.assert_conserved();
}

#[test]
fn a_call_is_hung_up_by_the_callee() {
    let mut pair = Pair::new(2);
    let (_, callee) = call(&mut pair);
    hang_up(&mut pair, Side::B, callee);
    pair.drive();
    assert_eq!(pair.ladder().last().unwrap(), "A>200");
    assert_eq!(words(&mut pair, Side::B), ["ended localbye", "final 200"]);
    assert_eq!(words(&mut pair, Side::A), ["ended remote bye"]);
    pair.assert_conserved();
}
