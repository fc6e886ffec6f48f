set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$front << EOD
15 2.000000e-01 1.900000e-01 2.100000e-01 "Q2_K"
23 1.000000e-02 9.500000e-03 1.050000e-02 "Q4_K_M"
42 2.000000e-03 1.900000e-03 2.100000e-03 "Q8_0"
EOD
$front0 << EOD
15 2.000000e-01 1.900000e-01 2.100000e-01 "Q2_K"
23 1.000000e-02 9.500000e-03 1.050000e-02 "Q4_K_M"
42 2.000000e-03 1.900000e-03 2.100000e-03 "Q8_0"
EOD
set xrange [0:*]
set offsets graph 0, graph 0.1, 0, 0
set logscale y
set yrange [1.570e-04:1.000e+00]
set format y "%g"
set ytics add ("0" 2.512e-04)
set xlabel "file size, GiB"
set ylabel "mean KL divergence from the original"
set key outside top center horizontal
plot $front using 1:2 with lines lw 1.5 lc rgb "#9aa3b2" title "Pareto front", $front0 using 1:2:3:4 with yerrorbars pt 7 ps 1.2 lw 1.5 lc rgb "#0072b2" notitle, $front0 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
