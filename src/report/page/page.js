'use strict';
// Draws the charts of the page with ECharts, from their descriptions (src/report/charts/chart_json.h): what is in them,
// their colours, marks and words come from there. The page's text is there already, for every model.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawn = {};  // id -> chart
  const root = document.documentElement;
  const BAR = 46;  // pixels, at most

  const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'}[c]));
  const narrow = () => window.innerWidth < 600;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const unique = (list) => [...new Set(list)];
  let model = data.models[0];

  // ---- axes

  // A divergence of 0 is drawn one decade below the lowest one.
  const floorOf = (axis) => axis.zero_at ? 10 ** Math.floor(Math.log10(axis.zero_at)) : 0;
  const placeOn = (axis) => (value) => axis.zero_at && value <= 1.000001 * axis.zero_at ? floorOf(axis) : value;

  function axisOption(axis) {
    if (axis.scale === 'categories') {
      const few = axis.categories.length <= 24;
      return {type: 'category', data: axis.categories, axisLabel: Object.assign({color: css('--muted'), lineHeight: 13, fontSize: 11}, few ? {interval: 0} : {})};
    }
    if (axis.scale === 'logarithmic') {
      const floor = floorOf(axis);
      const label = (value) => floor && value < 1.5 * floor ? '0' : value >= 1 ? String(value) : String(Number(value.toPrecision(1)));
      return Object.assign({type: 'log', axisLabel: {color: css('--muted'), formatter: label}}, floor ? {min: floor} : {});
    }
    return {type: 'value', min: axis.from_zero ? 0 : undefined, max: axis.top};
  }
  const xOption = (axis) => Object.assign(axisOption(axis), {name: axis.title, nameLocation: 'middle', nameGap: 28},
    axis.scale === 'linear' && !axis.from_zero ? {min: 'dataMin', max: 'dataMax', splitLine: {show: false}} : {});
  const yOption = (axis) => Object.assign(axisOption(axis), {name: axis.title, nameTextStyle: {align: 'left', color: css('--muted')}});

  // ---- series

  const lines = (color, ...ends) => ends.map(([x1, y1, x2, y2]) => ({type: 'line', shape: {x1, y1, x2, y2}, style: {stroke: color, lineWidth: 2, fill: null}}));
  const withInterval = (series) => series.points.filter((p) => p.low !== undefined && p.high > p.low);

  // An interval at each point; `offset` of a bar that stands beside others, in pixels.
  const intervals = (series, at, color, offset = () => 0) => ({
    name: series.title, type: 'custom', silent: true, z: 5, itemStyle: {color: series.color}, tooltip: {show: false}, encode: {x: 0, y: [1, 2]},
    data: withInterval(series).map((p) => [p.x, at(p.low), at(p.high)]),
    renderItem: (params, api) => {
      const x = api.coord([api.value(0), api.value(1)])[0] + offset(api);
      const low = api.coord([api.value(0), api.value(1)])[1], high = api.coord([api.value(0), api.value(2)])[1];
      return {type: 'group', children: lines(color, [x, low, x, high], [x - 5, low, x + 5, low], [x - 5, high, x + 5, high])};
    },
  });
  const labelled = (series, color) => series.points.some((p) => p.label) ?
    {label: {show: true, formatter: (p) => p.data.point.label || '', position: 'right', color, fontSize: 11}, labelLayout: {hideOverlap: true}} : {};

  const FORMS = {
    points: (series, at) => [Object.assign({
      name: series.title, type: 'scatter', symbolSize: 13, symbol: series.mark, itemStyle: {color: series.color},
      data: series.points.map((p) => ({value: [p.x, at(p.y)], point: p,
        itemStyle: p.hollow ? {color: css('--panel'), borderColor: series.color, borderWidth: 2} : {color: series.color}})),
    }, labelled(series, css('--fg'))), intervals(series, at, series.color)],

    lines: (series, at) => {
      const line = Object.assign({
        name: series.title, type: 'line', symbol: series.mark, symbolSize: 9, itemStyle: {color: series.color}, lineStyle: {color: series.color, width: 2},
        data: series.points.map((p) => ({value: [p.x, at(p.y)], point: p})),
      }, labelled(series, css('--fg')));
      if (!series.band) return [line, intervals(series, at, series.color)];
      const hidden = {name: series.title, type: 'line', symbol: 'none', stack: series.title, silent: true, lineStyle: {opacity: 0}, tooltip: {show: false}};
      return [line, Object.assign({}, hidden, {data: series.points.map((p) => [p.x, p.low])}),
              Object.assign({}, hidden, {areaStyle: {color: series.color, opacity: .18}, data: series.points.map((p) => [p.x, p.high - p.low])})];
    },

    bars: (series, at, i, chart) => {
      const own = chart.x.categories.map((_, x) => { const p = series.points.find((q) => q.x === x); return p ? {value: p.y, point: p} : null; });
      return [{name: series.title, type: 'bar', barMaxWidth: BAR, itemStyle: {color: series.color}, data: own},
              intervals(series, at, css('--fg'), (api) => api.barLayout({count: chart.series.length, barMaxWidth: BAR})[i].offsetCenter)];
    },

    stack: (series) => [{name: series.title, type: 'bar', stack: 'all', barMaxWidth: BAR, itemStyle: {color: series.color},
                         data: series.points.map((p) => ({value: p.y, point: p}))}],

    grid: (series) => [{name: series.title, type: 'heatmap', data: series.points.map((p) => ({value: [p.x, p.y, 100 * p.share], point: p}))}],
  };

  // ---- charts

  const tell = (more) => '<b>' + escape(more[0]) + '</b>' + more.slice(1).map((line) => '<br>' + escape(line)).join('');

  function optionOf(chart) {
    const fg = css('--fg'), muted = css('--muted'), line = css('--line'), form = chart.series[0].form, at = placeOn(chart.y);
    const titles = unique(chart.series.map((s) => s.title).filter((t) => t));
    const style = {axisLabel: {color: muted}, nameTextStyle: {color: muted}, axisLine: {lineStyle: {color: line}}, splitLine: {lineStyle: {color: line}}};
    const hasLabels = chart.series.some((s) => s.points.some((p) => p.label)), band = chart.series[0].band;
    const side = form === 'stack' && chart.x.categories.length > (narrow() ? 4 : 12);  // many bars lie better
    let x = xOption(chart.x), y = yOption(chart.y);
    if (side) [x, y] = [Object.assign({}, y, {nameLocation: 'middle', nameGap: 26}), Object.assign({}, x, {inverse: true})];
    const option = {
      animation: false, textStyle: {color: fg, fontFamily: 'inherit'},
      legend: {show: form !== 'grid' && titles.length > 0, data: titles, top: 0, type: 'scroll', itemGap: 18, textStyle: {color: fg}, pageIconColor: fg, pageTextStyle: {color: muted}},
      tooltip: {backgroundColor: css('--bg'), borderColor: line, textStyle: {color: fg}, confine: true, trigger: band ? 'axis' : 'item',
        formatter: (p) => !band ? (p.data && p.data.point && p.data.point.more ? tell(p.data.point.more) : '') :
          escape(chart.x.title + ' ' + p[0].value[0]) + p.filter((one) => one.data.point).map((one) => '<br>' + one.marker + escape(one.seriesName + ' ' + one.data.point.more[0])).join('')},
      grid: {left: 12, right: hasLabels ? (narrow() ? 44 : 64) : 20, top: form === 'grid' ? 64 : 56, bottom: (side ? chart.y : chart.x).title ? 36 : 12, containLabel: true},
      xAxis: Object.assign({}, style, x), yAxis: Object.assign({}, style, y),
      series: chart.series.flatMap((s, i) => FORMS[s.form](s, at, i, chart)),
    };
    if (chart.reference !== undefined)
      option.series[0].markLine = {silent: true, symbol: 'none', lineStyle: {color: muted}, label: {show: false}, data: [{yAxis: chart.reference}]};
    if (form === 'grid') {
      option.yAxis.inverse = true;
      option.visualMap = {min: 0, max: Math.max(...chart.series[0].points.map((p) => 100 * p.share)), calculable: true, orient: 'horizontal', left: 'center', top: 0,
        text: [chart.series[0].title, ''], textStyle: {color: muted}, inRange: {color: ['#440154', '#3b528b', '#21918c', '#5ec962', '#fde725']}};
    }
    return [option, side ? 110 + 36 * chart.x.categories.length + 'px' : ''];
  }

  function fill(select, values) {
    const before = select.value;
    select.innerHTML = values.map((v) => '<option>' + escape(v) + '</option>').join('');
    if (values.includes(before)) select.value = before;
    select.parentElement.hidden = values.length < 2;
  }

  // Of the charts of a place, the one that its selects choose, one after another; undefined: there is none.
  function chosen(place) {
    let charts = data.charts[model].filter((chart) => chart.name === place);
    all('select[data-place="' + place + '"]').forEach((select, i) => {
      fill(select, unique(charts.map((chart) => chart.choices[i])));
      charts = charts.filter((chart) => chart.choices[i] === select.value);
    });
    return charts[0];
  }

  function draw(place) {
    const element = byId(place), chart = chosen(place);
    all('section[data-needs="' + place + '"]').forEach((section) => { section.hidden = !chart; });
    if (!chart) {
      if (drawn[place]) { drawn[place].dispose(); delete drawn[place]; }
      const text = document.querySelector('template[data-place="' + place + '"][data-of="' + model + '"]');
      element.classList.add('missing');
      element.innerHTML = text ? text.innerHTML : '';
      return;
    }
    all('[data-note="' + place + '"]').forEach((note) => { note.hidden = note.dataset.form !== chart.series[0].form; });
    if (element.classList.contains('missing')) element.textContent = '';
    element.classList.remove('missing');
    const [option, height] = optionOf(chart);
    element.style.height = height;
    if (!drawn[place]) drawn[place] = echarts.init(element, null, {renderer: 'svg'});
    drawn[place].setOption(option, true);
    drawn[place].resize();
  }

  function drawAll() {
    all('[data-model]').forEach((element) => { element.hidden = element.dataset.model !== model; });
    all('.chart').forEach((chart) => draw(chart.id));
  }

  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const setTheme = (isDark) => { root.dataset.theme = isDark ? 'dark' : 'light'; root.style.colorScheme = isDark ? 'dark' : 'light'; drawAll(); };
  fill(byId('model'), data.models);
  byId('model').addEventListener('change', () => { model = byId('model').value; drawAll(); });
  all('select[data-place]').forEach((select) => select.addEventListener('change', () => draw(select.dataset.place)));
  byId('theme').addEventListener('click', () => setTheme(root.dataset.theme !== 'dark'));
  dark.addEventListener('change', (event) => setTheme(event.matches));
  let width = window.innerWidth;
  window.addEventListener('resize', () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  setTheme(dark.matches);
  root.dataset.ready = 'yes';
})();
