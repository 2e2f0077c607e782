//! Tests of the catalogue.

use super::*;

#[test]
fn nobody_is_unknown_in_every_form() {
    let catalogue = Catalogue::new(Vec::new());
    let nobody = catalogue.recognise(&Hints::default());
    assert_eq!(nobody, Recognised::unknown());
    assert_eq!(nobody.key(), "unknown");
    assert_eq!(catalogue.from_key("unknown"), nobody);
    assert_eq!(nobody.to_string(), "unknown");
}
