//! One module per requirement, named after its ID (`s1_02_s1_03` covers S1-02 and S1-03). Each
//! performs the item's check against a running `rohrpost demo`; `cargo xtask test` counts them.

mod n_d1;
mod n_d6;
mod n_e1;
mod s0_03;
mod s0_04_s3_73;
mod s0_10;
mod s0_11;
mod s0_14;
mod s1_02_s1_03;
mod s1_07_s3_66;
mod s1_08;
mod s1_10;
mod s1_21;
mod s1_26;
mod s3_20;
mod s3_25;
mod s3_26;
mod s3_28;
mod s3_45;
mod s3_52;
mod s3_67;
mod s3_68;
mod s3_69_s3_71;
mod s3_72;
mod s3_78;
mod s3_79;
mod s4_01_s4_03;
mod s4_02;
mod s4_05_s4_09_s4_10;
mod s4_06;
mod s4_15;
mod s4_16_s4_17_s4_18_s4_19;
mod s4_20;
